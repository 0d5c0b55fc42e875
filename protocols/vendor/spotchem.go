package vendor

import (
	"strconv"
	"strings"
)

// testMark is the word behind the results that says that they are no patient's.
// No analyser sends it; what simulates one does.
const testMark = "TEST"

func parseSpotchem(text string) (Packet, error) {
	text = strings.TrimPrefix(text, "\x02")
	text, _, _ = strings.Cut(text, "\x03")
	words := strings.Fields(text)
	if len(words) < 2 {
		return Packet{}, ErrMalformed
	}
	at, ok := spotchemTime(words[0], words[1])
	_, rest, named := strings.Cut(text, "ID#")
	if !ok || !named {
		return Packet{}, ErrMalformed
	}
	sample, kind, found := "", "", false
	if before, after, bracket := strings.Cut(rest, "["); bracket {
		if kind, after, found = strings.Cut(after, "]"); found {
			sample, rest = strings.TrimSpace(before), after
		}
	}
	words = strings.Fields(rest)
	if !found && len(words) > 0 && !(analyte(words[0]) && len(words) > 1 && measured(words[1])) {
		sample, words = words[0], words[1:]
	}
	header, order := newRecord("H", `\^&`, 14), newRecord("O", "1", 8)
	header.setComponents(5, "SE-1520", "Spotchem", "1.0.0")
	header.set(14, at)
	order.set(3, sample)
	order.set(5, strings.TrimSpace(kind))
	order.set(8, at)
	p := Packet{Records: []Record{header, order}}
	for len(words) > 0 {
		if words[0] == testMark {
			header.set(12, "T")
			words = words[1:]
			continue
		}
		name, value, units, used := measurement(words)
		if used == 0 {
			p.Problems = append(p.Problems, "text behind a result was not understood")
			break
		}
		words = words[used:]
		if len(p.Records)-2 == mostResults {
			return Packet{}, ErrExcessive
		}
		result := newRecord("R", strconv.Itoa(len(p.Records)-1), 15)
		result.set(3, name)
		result.set(4, spotchemValue(value))
		result.set(5, units)
		result.set(13, at)
		if value != result[3] {
			result.set(15, value) // beyond LIS02-A2's fields: as it came
		}
		p.Records = append(p.Records, result)
	}
	if len(p.Records) == 2 {
		return Packet{}, ErrMalformed
	}
	terminator := newRecord("L", "1", 3)
	terminator.set(3, "N")
	p.Records = append(p.Records, terminator)
	return p, nil
}

// spotchemTime makes YYYYMMDDHHMM of YY/MM/DD and HH:MM.
func spotchemTime(date, time string) (text string, ok bool) {
	if len(date) != 8 || len(time) != 5 || date[2] != '/' || date[5] != '/' || time[2] != ':' {
		return "", false
	}
	text = date[:2] + date[3:5] + date[6:] + time[:2] + time[3:]
	return fullYear(text[:2]) + text[2:], digits(text, 10)
}

// measurement reads an analyte, its value and, where there is one, its unit: the
// first word with a slash or a percent sign. What stands between is the value,
// with the flags that belong to it.
func measurement(words []string) (name, value, units string, used int) {
	if len(words) < 2 || !analyte(words[0]) {
		return "", "", "", 0
	}
	for i := 1; i < min(len(words), 5); i++ {
		switch {
		case i > 1 && analyte(words[i]) && i+1 < len(words) && measured(words[i+1]):
			return words[0], strings.Join(words[1:i], " "), "", i
		case i > 1 && strings.ContainsAny(words[i], "/%"):
			return words[0], strings.Join(words[1:i], " "), words[i], i + 1
		}
	}
	if !measured(words[1]) {
		return "", "", "", 0
	}
	return words[0], words[1], "", 2
}

// analyte reports whether a word can be the name of one.
func analyte(word string) bool {
	if len(word) > 8 {
		return false
	}
	for i := range len(word) {
		c := word[i]
		letter := 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '+' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// measured reports whether a word can be a value.
func measured(word string) bool { return strings.IndexByte("0123456789.-+<>*=", word[0]) >= 0 }

// spotchemValue is a value's text: a bare number is written as the contract has
// it, 131 as 131.0, anything else as it came.
func spotchemValue(text string) string {
	if text == "" || len(text) > 15 || strings.Trim(text, "0123456789.") != "" {
		return text
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number != 0 && number < 1e-4 {
		return text
	}
	text = strconv.FormatFloat(number, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
