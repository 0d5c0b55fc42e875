package instrument

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// said is what a standing logs, without times.
func said(log *lines) (list []string) {
	message := regexp.MustCompile(`msg=("[^"]*"|\S+)`)
	for _, line := range log.with("msg=") {
		list = append(list, message.FindStringSubmatch(line)[1])
	}
	return list
}

func TestStandingSaysEachChangeOnce(t *testing.T) {
	const up, down, cannot, flaps = `"line up"`, `"line down"`, `"line cannot be opened; trying on"`, `"line comes and goes; it is said again when it holds"`
	lost, refused := errors.New("lost"), errors.New("refused")
	noTLS := &port.HandshakeError{Remedy: "none", Err: errors.New("read: :1234")}
	for name, test := range map[string]struct {
		story func(*standing)
		want  []string
	}{
		"a cable out for a minute": {func(s *standing) {
			s.up()
			time.Sleep(time.Hour)
			s.down(lost)
			for range 120 {
				time.Sleep(time.Second / 2)
				s.failed(refused)
			}
			s.up()
		}, []string{up, down, cannot, up}},
		"five times in a row": {func(s *standing) {
			for range 5 {
				s.up()
				time.Sleep(time.Second)
				s.down(lost)
				s.failed(refused)
			}
			s.up()
			time.Sleep(steady)
			s.holds()
		}, []string{up, down, cannot, up, down, cannot, up, down, cannot, up, down, cannot, up, down, cannot, up}},
		"for ever, then well": {func(s *standing) {
			for range 1000 {
				s.up()
				s.holds()
				time.Sleep(time.Second / 2)
				s.down(lost)
			}
			s.up()
			for range 3 {
				time.Sleep(heartbeat)
				s.holds()
			}
			s.down(lost)
		}, []string{up, down, up, down, up, down, up, down, up, down, up, flaps, up, down}},
		"for ever, then away": {func(s *standing) {
			for range 100 {
				s.up()
				s.down(lost)
				s.failed(refused)
			}
			for range 100 {
				time.Sleep(time.Second / 2)
				s.failed(refused)
			}
		}, slices.Concat(slices.Repeat([]string{up, down, cannot}, 5), []string{up, flaps, cannot})},
		"refused, then without TLS": {func(s *standing) {
			for range 10 {
				s.failed(refused)
				s.failed(noTLS)
			}
		}, []string{cannot, cannot}},
		"the box was stopped": {func(s *standing) {
			s.up()
			s.down(nil)
		}, []string{up}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &lines{}
				test.story(&standing{log: logTo(log)})
				if got := said(log); !slices.Equal(got, test.want) {
					t.Errorf("said %q\nwant %q", got, test.want)
				}
			})
		})
	}
}
