package senaite

import (
	"regexp"
	"strconv"
	"strings"
)

// sameValue reports whether an analysis that holds one text holds the value of
// an instrument: as text, as number, or as date. Nothing is rounded.
func sameValue(held, value string) bool {
	held, value = strings.TrimSpace(held), strings.TrimSpace(value)
	if held == "" || value == "" {
		return false
	}
	if strings.EqualFold(held, value) {
		return true
	}
	a, isNumber := parseNumber(held)
	b, isNumberToo := parseNumber(value)
	if isNumber && isNumberToo {
		return a == b
	}
	return sameTime(held, value)
}

// alternatives are what an importer may make of a value: the whole, or one
// component of it, as the code or the text of a coded value. A number is no
// component unless a text goes before it (`POS^12.3`): what is left of `<^0.5`,
// or of 10 to the power of 5, is another result.
func alternatives(value string) []string {
	list := []string{value}
	components := strings.Split(value, "^")
	first := strings.TrimSpace(components[0])
	_, isNumber := parseNumber(first)
	named := !isNumber && strings.Trim(first, "<>=≤≥ ") != ""
	for _, component := range components[min(1, len(components)-1):] {
		if _, isNumber := parseNumber(component); named || !isNumber {
			list = append(list, component)
		}
	}
	if named {
		list = append(list, first)
	}
	return list
}

// number is a decimal number in the one form in which equal ones are equal.
type number struct {
	comparator string // of a value beyond a limit, else ""
	negative   bool
	digits     string // without zeros in front and behind; "" is zero
	exponent   int    // of ten, of the last digit
}

var numberForm = regexp.MustCompile(`^(<=|>=|<|>|=|≤|≥|)\s*\^?\s*([+-]?)([0-9]*)(?:[.,]([0-9]*))?(?:[eE]([+-]?[0-9]{1,5}))?$`)

// parseNumber reads a number with its comparator. One comma is a decimal comma:
// instruments do not group digits.
func parseNumber(text string) (number, bool) {
	part := numberForm.FindStringSubmatch(strings.TrimSpace(text))
	if part == nil || part[3] == "" && part[4] == "" {
		return number{}, false
	}
	exponent, _ := strconv.Atoi(part[5]) // at most five digits, or none at all: 0
	n := number{comparator: part[1], negative: part[2] == "-", exponent: exponent - len(part[4])}
	switch n.comparator {
	case "=":
		n.comparator = ""
	case "≤":
		n.comparator = "<="
	case "≥":
		n.comparator = ">="
	}
	n.digits = strings.TrimLeft(part[3]+part[4], "0")
	significant := strings.TrimRight(n.digits, "0")
	n.exponent += len(n.digits) - len(significant)
	n.digits = significant
	if n.digits == "" {
		n.negative, n.exponent = false, 0
	}
	return n, true
}

var (
	heldTime  = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?$`)
	givenTime = regexp.MustCompile(`^[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?$`)
)

// sameTime compares SENAITE's dates, 2024-01-31 08:15, with those of
// instruments, 20240131081500. The shorter one says how exactly.
func sameTime(held, value string) bool {
	h, v := heldTime.FindStringSubmatch(held), heldTime.FindStringSubmatch(value)
	if h == nil {
		return false
	}
	here, there := strings.Join(h[1:], ""), value
	switch {
	case v != nil:
		there = strings.Join(v[1:], "")
	case !givenTime.MatchString(value):
		return false
	}
	shorter := min(len(here), len(there))
	return here[:shorter] == there[:shorter]
}
