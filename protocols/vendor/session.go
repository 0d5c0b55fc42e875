package vendor

import "strings"

// Session returns the records as the session that SENAITE's metadata show for a
// mini VIDAS or a Spotchem EL: only what its template has room for, times to
// the second, components parted by carets. Now is YYYYMMDDHHMMSS, for packets
// without a time. It is nil for an Emerald, which has no such session.
func Session(format Format, records []Record, now string) []Record {
	var templates map[string]template
	switch format {
	case MiniVIDAS:
		templates = map[string]template{
			"H": {14, []int{2, 5}, 14}, "P": {35, []int{2, 5, 6, 8, 9}, 0}, "O": {31, []int{2, 3, 5}, 23},
			"R": {14, []int{2, 3, 4, 7, 9, 11}, 13}, "L": {3, []int{2, 3}, 0},
		}
	case SpotchemEL:
		templates = map[string]template{
			"H": {14, []int{2, 5}, 14}, "O": {26, []int{2, 3, 5}, 8},
			"R": {14, []int{2, 3, 4, 5}, 13}, "L": {3, []int{2, 3}, 0},
		}
	}
	var session []Record
	for _, r := range records {
		if t, shown := templates[r[0]]; shown {
			session = append(session, t.fill(r, now))
		}
	}
	return session
}

// template is what a session shows of a record.
type template struct {
	size int   // fields
	keep []int // those that are shown
	time int   // the one that is a time; 0 for none
}

func (t template) fill(from Record, now string) Record {
	field := func(n int) string {
		if n > len(from) {
			return ""
		}
		return from[n-1]
	}
	to := make(Record, t.size)
	to[0] = from[0]
	for _, n := range t.keep {
		parts := strings.Split(field(n), string(rune(Component)))
		to[n-1] = strings.Join(parts[:min(len(parts), 3)], "^")
	}
	if t.time > 0 {
		to[t.time-1] = now
		if at := field(t.time); digits(at, 12) {
			to[t.time-1] = at + "00"
		} else if digits(at, 8) {
			to[t.time-1] = at + "000000"
		}
	}
	return to
}
