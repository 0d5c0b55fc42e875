package agent

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// crumbs is a repository that tells of each thousandth of a download.
type crumbs struct{ simView }

func (c crumbs) Download(ctx context.Context, offer Offer, file string, progress func(int64)) error {
	told := int64(0)
	return c.simView.Download(ctx, offer, file, func(done int64) {
		for ; told < done; told += offer.Length / 1000 {
			progress(told)
		}
		progress(done)
	})
}

// Who reads the log sees how far an update is, by tenths and not by each step.
func TestProgressInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.only, b.others = true, []Source{{Name: "stick", Repository: crumbs{simView{b}}, Local: true, Every: time.Hour}}
		var text logged
		b.log = slog.New(slog.NewTextHandler(&text, nil))
		b.live(30 * time.Minute)
		b.want(t, "B", "2.0.0", Installed)
		for phase, want := range map[Phase][]string{
			Downloading: {"10", "20", "30", "40", "50", "60", "70", "80", "90", "100"},
			Installing:  {"20", "40", "60", "80"}, // as RAUC is played here
		} {
			told := []string{}
			for _, found := range regexp.MustCompile(`msg="an update gets on" version=2\.0\.0 phase=`+string(phase)+` percent=(\d+)`).FindAllStringSubmatch(text.String(), -1) {
				told = append(told, found[1])
			}
			if !slices.Equal(told, want) {
				t.Errorf("%s: the log tells of %q, want %q\n%s", phase, told, want, text.String())
			}
		}
	})
}
