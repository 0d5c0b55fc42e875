package instrument

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

func TestSettingsDefaults(t *testing.T) {
	s := Defaults()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if s.Location() != nil {
		t.Error("a zone that nobody gave")
	}
	if want := []envelope.Kind{envelope.KindResult, envelope.KindQC, envelope.KindCalibration}; !reflect.DeepEqual(s.Kinds(), want) {
		t.Errorf("kinds %v", s.Kinds())
	}
	if (Settings{}).Kinds() != nil {
		t.Error("no list of kinds must mean all but test")
	}
}

func TestSettingsValidate(t *testing.T) {
	s := Settings{
		Protocol: "smtp", Charset: "klingon", Timezone: "Local",
		Quirks:  profile.Quirks{Checksum: "lax", FrameNumbers: "ignore", End: "eof", Query: "maybe", FrameSize: 64000, ReceiverTimeout: time.Hour, ReplyTimeout: 1},
		Deliver: []string{"result", "image", "result"},
		Limits:  Limits{Connections: 513, PerAddress: 0, Message: 1, Frame: 1 << 30, Idle: 1, Session: time.Second, Junk: 0},
	}
	want := []string{
		"protocol: smtp is not one of astm, hl7, vendor",
		`charset: character set "klingon" is not known; try latin-1, cp1252, utf-8 or gbk`,
		"timezone: Local is not known; give an IANA name such as Europe/Berlin or UTC",
		"quirks.checksum: lax is not one of strict, ignore",
		"quirks.end: eof is not one of record, eot",
		"quirks.query: maybe is not one of no_information, no_order, none",
		"quirks.frame_size: 64000 is not between 1 and 63993; 240 is what every receiver takes",
		"quirks.receiver_timeout: 1h0m0s is not between 1s and 10m0s",
		"quirks.reply_timeout: 1ns is not between 1s and 10m0s",
		"deliver[1]: image is not one of result, qc, calibration, test",
		"deliver[2]: result stands there twice; remove one",
		"limits.connections: 513 is not between 1 and 512",
		"limits.per_address: 0 is not between 1 and 512",
		"limits.message: 1 bytes is not between 1KiB and 256MiB",
		"limits.frame: 1GiB is not between 256 bytes and 16MiB",
		"limits.idle: 1ns is too short; give at least 1s, or 0 for no limit",
		"limits.session: 1s is too short; give at least 30s, or 0 for no limit",
		"limits.junk: 0 bytes is not between 1 bytes and 16MiB",
	}
	var got []string
	var walk func(error)
	walk = func(err error) {
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			for _, one := range joined.Unwrap() {
				walk(one)
			}
			return
		}
		got = append(got, err.Error())
	}
	walk(s.Validate())
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if zone := (Settings{Timezone: "Europe/Berlin"}).Location(); zone == nil || zone.String() != "Europe/Berlin" {
		t.Errorf("zone %v", zone)
	}
}
