package vendor

import "strings"

// Place is where the text of a packet or frame has what [Parse] puts into a
// field of an O or P record: a part of it from From up to To.
type Place struct {
	Record           string
	Field, Component int // Component 0 is the whole field
	From, To         int
}

// Places returns where a packet or frame says which sample and which patient it
// is about, in order. The text is that which Parse takes, and one that it can
// read; blanks around are not part of a place.
func Places(format Format, text string) []Place {
	switch format {
	case MiniVIDAS:
		return vidasPlaces(text)
	case SpotchemEL:
		return spotchemPlaces(text)
	case Emerald:
		return emeraldPlaces(text)
	}
	return nil
}

func vidasPlaces(text string) (list []Place) {
	known := map[string]Place{"ci": {Record: "O", Field: 3}, "si": {Record: "O", Field: 4}, "pi": {Record: "P", Field: 5}}
	end := len(text)
	if n := strings.IndexAny(text, "\x1d\x03"); n >= 0 {
		end = n
	}
	for from := 0; from < end; {
		to := end
		if n := strings.IndexAny(text[from:end], "|\x1e"); n >= 0 {
			to = from + n
		}
		at := from + len(text[from:to]) - len(strings.TrimLeft(text[from:to], "\x02\r\n"))
		if p, ok := known[text[at:min(at+2, to)]]; ok {
			list = append(list, p.trimmed(text, at+2, to))
		}
		from = to + 1
	}
	return list
}

func spotchemPlaces(text string) []Place {
	p, err := parseSpotchem(text)
	from := strings.Index(text, "ID#")
	if err != nil || from < 0 {
		return nil
	}
	sample := p.Records[1][2]
	n := strings.Index(text[from+3:], sample)
	if sample == "" || n < 0 {
		return nil
	}
	from += 3 + n
	return []Place{{Record: "O", Field: 3, From: from, To: from + len(sample)}}
}

func emeraldPlaces(text string) (list []Place) {
	known := map[string]Place{
		"SID": {Record: "O", Field: 3}, "RACK": {Record: "O", Field: 4, Component: 1}, "POS": {Record: "O", Field: 4, Component: 2},
		"PID": {Record: "P", Field: 5}, "ID": {Record: "P", Field: 6},
	}
	for from := 0; from < len(text); {
		to := len(text)
		if n := strings.IndexAny(text[from:], "\r\n"); n >= 0 {
			to = from + n
		}
		token, rest, found := strings.Cut(text[from:to], ";")
		token = strings.ToUpper(strings.TrimSpace(token))
		if p, ok := known[token]; ok && found {
			delete(known, token) // a later one is not read
			value, _, _ := strings.Cut(rest, ";")
			at := to - len(rest)
			list = append(list, p.trimmed(text, at, at+len(value)))
		}
		from = to + 1
	}
	return list
}

// trimmed is the place without the blanks around it.
func (p Place) trimmed(text string, from, to int) Place {
	p.From = from + len(text[from:to]) - len(strings.TrimLeft(text[from:to], " \t"))
	p.To = p.From + len(strings.Trim(text[from:to], " \t"))
	return p
}
