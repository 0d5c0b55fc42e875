package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// tap is a server that gives the highest release, or another one, a hundred bytes a second.
type tap struct{ simView }

func (d tap) Offers(ctx context.Context, box release.Box) (Answer, error) {
	answer, err := d.simView.Offers(ctx, box)
	for i := range answer.Offers {
		answer.Offers[i].Waves, answer.Offers[i].NoWaves = open(answer.Offers[i].Release.Version), nil
	}
	return answer, err
}

func (d tap) Download(ctx context.Context, offer Offer, _ string, progress func(int64)) error {
	for done := int64(0); ; {
		if !rest(ctx, 10*time.Second) {
			return ctx.Err()
		}
		done += 1000
		progress(done)
	}
}

// A server that gives next to nothing keeps nobody from what a person brings, be that the same
// release or a lower one.
func TestDrippingServer(t *testing.T) {
	t.Parallel()
	for name, brought := range map[string]string{"the same": "3.0.0", "a lower one": "2.0.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				far, stick := &simRepository{}, &simRepository{}
				far.offer("3.0.0", nil)
				stick.offer(brought, nil)
				stick.fail(ErrNothingThere)
				b, server := newSimBox(t, "1.0.0", stick), newSimBox(t, "1.0.0", far)
				b.only = true
				b.others = []Source{
					{Name: "stick", Repository: simView{b}, Local: true, Every: 10 * time.Second},
					{Name: "https://updates.example.org", Repository: tap{simView{server}}},
				}
				b.settings.Interval = 24 * time.Hour
				stop := b.during(t)
				time.Sleep(25 * time.Hour)
				synctest.Wait()
				if s := b.status(); s.Phase != Downloading && !strings.Contains(s.Why, "its download brought 1") {
					t.Errorf("the status is %+v", s)
				}
				stick.fail(nil)
				time.Sleep(15 * time.Minute)
				stop()
				b.want(t, "B", brought, Installed)
			})
		})
	}
}

// What a person brings has its turn at once.
func TestStickDuringADownload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far, stick := &simRepository{}, &simRepository{}
		far.offer("2.0.0", nil)
		far.change(func(o *Offer) { o.Length = 1000 * bundleSize }) // two days
		stick.offer("3.0.0", nil)
		stick.fail(ErrNothingThere)
		b, server := newSimBox(t, "1.0.0", stick), newSimBox(t, "1.0.0", far)
		b.only = true
		b.others = []Source{
			{Name: "stick", Repository: simView{b}, Local: true, Every: 10 * time.Second},
			{Name: "https://updates.example.org", Repository: trickle{tap{simView{server}}}},
		}
		b.settings.Interval = 24 * time.Hour
		stop := b.during(t)
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if s := b.status(); s.Phase != Downloading || s.Offered != "2.0.0" {
			t.Errorf("the status is %+v", s)
		}
		stick.fail(nil)
		time.Sleep(15 * time.Minute)
		stop()
		b.want(t, "B", "3.0.0", Installed)
	})
}

// trickle is ten times what is the least.
type trickle struct{ tap }

func (d trickle) Download(ctx context.Context, offer Offer, file string, progress func(int64)) error {
	return d.tap.Download(ctx, offer, file, func(done int64) { progress(100 * done) })
}

// A card that needs minutes to verify a bundle gets its update too, and is not read
// without end.
func TestCardThatIsSlowToVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		slow := &slowCard{simView: simView{b}}
		b.only, b.others = true, []Source{{Name: "https://updates.example.org", Repository: slow}}
		b.busy = func() Busy { return Busy{Sessions: 1} }
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
		if slow.read != 1 {
			t.Errorf("it was verified %d times", slow.read)
		}
	})
}

// slowCard takes a minute to read a bundle that is on it.
type slowCard struct {
	simView
	read int
}

func (s *slowCard) Download(ctx context.Context, offer Offer, file string, progress func(int64)) error {
	s.mu.Lock()
	whole := s.fetched[offer.Hash] == offer.Length
	s.mu.Unlock()
	if whole {
		s.read++
		if !rest(ctx, time.Minute) {
			return ctx.Err()
		}
	}
	return s.simView.Download(ctx, offer, file, progress)
}
