package probe

import (
	"slices"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// Observation is what was heard at one setting.
type Observation struct {
	Setting `json:"setting"`
	Seconds int           `json:"seconds"` // listened
	Bursts  int           `json:"bursts"`  // after silence
	Noise   int           `json:"noise"`   // of these, without sense
	Bytes   int           `json:"bytes"`
	Errors  port.Counters `json:"errors"` // of the driver, where it counts
	Fits    []Fit         `json:"fits"`   // what it can be, the best first

	counted   bool // the driver counts errors
	even, odd bool // characters with such a number of ones came, without an error
}

// Fit is a format in which what was heard makes sense.
type Fit struct {
	Setting  `json:"setting"`
	Evidence `json:"evidence"`
	Bursts   int `json:"bursts"` // with sense
}

// better compares two fits: more is more.
func (f Fit) better(than Fit) int {
	for _, pair := range [][2]int{
		{f.proofs(), than.proofs()}, {f.Texts, than.Texts}, {f.Bursts, than.Bursts},
	} {
		if pair[0] != pair[1] {
			return pair[0] - pair[1]
		}
	}
	return 0
}

// burst is what came between two silences.
type burst struct {
	data   []byte
	errors port.Counters // that came with it
	told   bool          // the driver counts errors
}

// search decides what to listen to next. It is pure: time comes with its calls.
type search struct {
	order    []Setting // what is listened to, in turn
	at       int
	silences int // in a row, at this setting
	widened  bool
	seen     []*Observation
}

func newSearch() *search {
	s := &search{}
	for _, baud := range speeds() {
		s.order = append(s.order, plain(baud))
	}
	return s
}

// setting is what to listen to now.
func (s *search) setting() Setting { return s.order[s.at] }

func (s *search) observation(of Setting) *Observation {
	for _, o := range s.seen {
		if o.Setting == of {
			return o
		}
	}
	o := &Observation{Setting: of}
	s.seen = append(s.seen, o)
	return o
}

// silence is told when nothing came for a while. Where something made sense it is
// listened to for longer.
func (s *search) silence(took time.Duration) {
	o := s.observation(s.setting())
	o.Seconds += int(took.Round(time.Second) / time.Second)
	if s.silences++; len(o.Fits) > 0 && s.silences < 3 {
		return
	}
	s.next()
}

// heard is told what came.
func (s *search) heard(b burst, took time.Duration) {
	o := s.observation(s.setting())
	o.Seconds += int(took.Round(time.Second) / time.Second)
	o.Bytes += len(b.data)
	o.Bursts++
	o.Errors.Framing += b.errors.Framing
	o.Errors.Parity += b.errors.Parity
	o.Errors.Overrun += b.errors.Overrun
	o.Errors.Break += b.errors.Break
	s.silences = 0
	if o.add(b) {
		// Text without records may be that of another speed, which reads by chance.
		if f := o.Fits[0]; f.Texts == f.Bursts && f.Texts%2 == 0 && !f.records {
			s.next()
		}
		return
	}
	o.Noise++
	switch {
	case o.Parity != "none":
	case resembles(b.data):
		s.insert(o.Baud)
	case len(b.data) <= longestCall:
		s.prefer(guesses(b.data, o.Setting))
	}
	s.next()
}

// longestCall is how many characters a call is heard as at most, and one more.
const longestCall = 4

// prefer puts speeds next in turn that were not listened to yet.
func (s *search) prefer(bauds []int) {
	to := s.at + 1
	for _, baud := range bauds {
		if from := slices.Index(s.order, plain(baud)); from > to {
			s.order = slices.Insert(slices.Delete(s.order, from, from+1), to, plain(baud))
			to++
		} else if from == to {
			to++
		}
	}
}

// insert puts the settings with parity of a speed next in turn.
func (s *search) insert(baud int) {
	for i, parity := range []string{"even", "odd"} {
		one := Setting{baud, 8, parity, 1}
		if !slices.Contains(s.order, one) {
			s.order = slices.Insert(s.order, min(s.at+1+i, len(s.order)), one)
		}
	}
}

// next goes on to the next setting. After a round in which things came that made
// no sense, the settings with parity are listened to at every speed.
func (s *search) next() {
	s.silences = 0
	if s.at++; s.at < len(s.order) {
		return
	}
	noise := slices.ContainsFunc(s.seen, func(o *Observation) bool { return o.Noise > 0 })
	if noise && !s.widened {
		s.widened = true
		for _, parity := range []string{"even", "odd"} {
			for _, baud := range speeds() {
				if one := (Setting{baud, 8, parity, 1}); !slices.Contains(s.order, one) {
					s.order = append(s.order, one)
				}
			}
		}
		if s.at < len(s.order) {
			return
		}
	}
	s.at = 0
}

// add takes a burst into the observation, false where it makes no sense. A format
// stays a fit as long as every burst that makes sense in any is of it too.
func (o *Observation) add(b burst) bool {
	if b.errors.Framing+b.errors.Parity+b.errors.Break > 0 || len(b.data) == 0 {
		return false
	}
	ways := []view{{o.Setting, func(byte) bool { return true }, 0xFF}}
	if o.Parity == "none" {
		ways = views(o.Baud)
	}
	var fits []Fit
	first := o.Bursts == o.Noise+1 // of those with sense
	for _, v := range ways {
		text, can := v.read(b.data)
		if !can {
			continue
		}
		e, sense := judge(text)
		if !sense {
			continue
		}
		one := Fit{Setting: v.Setting, Evidence: e, Bursts: 1}
		at := slices.IndexFunc(o.Fits, func(f Fit) bool { return f.Setting == v.Setting })
		switch {
		case at >= 0:
			one.Evidence, one.Bursts = o.Fits[at].plus(e), o.Fits[at].Bursts+1
		case !first:
			continue // what came before was not of it
		}
		fits = append(fits, one)
	}
	if len(fits) == 0 {
		return false
	}
	o.counted = b.told
	for _, c := range b.data {
		o.odd = o.odd || oddOnes(c)
		o.even = o.even || !oddOnes(c)
	}
	slices.SortStableFunc(fits, func(a, b Fit) int { return b.better(a) })
	o.Fits = fits
	return true
}

// blurred are formats of eight bits that cannot be told from the one that was
// listened to. Where one side has a parity bit and the other a stop bit, a clean
// character with an even number of ones speaks against even parity, and one with
// an odd number against odd; where the driver counts no errors, nothing does.
func (o *Observation) blurred(f Fit) (list []Setting) {
	if f.DataBits != 8 {
		return nil
	}
	for _, other := range []struct {
		parity  string
		against bool
	}{{"none", o.clean(o.Parity)}, {"even", o.clean("even")}, {"odd", o.clean("odd")}} {
		switch {
		case other.parity == o.Parity || o.counted && other.against:
		case o.Parity != "none" && other.parity != "none" && o.counted: // they differ in every character
		default:
			list = append(list, Setting{o.Baud, 8, other.parity, 1})
		}
	}
	return list
}

// clean reports whether a character came that has even, or odd, ones by itself.
func (o *Observation) clean(parity string) bool {
	return parity == "even" && o.even || parity == "odd" && o.odd
}
