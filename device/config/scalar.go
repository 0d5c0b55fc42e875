package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// scalar fills a single value.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, o options) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "want %s, not %s", wanted(v.Type(), o), kindOf(n))
		return
	}
	if err := setScalar(n.Value, v, o); err != nil {
		d.fail(n, path, "%v", err)
	}
}

func setScalar(text string, v reflect.Value, o options) error {
	want := fmt.Errorf("%s is not %s", shown(text), wanted(v.Type(), o))
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		duration, err := parseDuration(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(duration))
		return nil
	case o.size:
		size, err := parseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(size)
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if o.allowed != nil && !slices.Contains(o.allowed, text) {
			if meant := nearest(text, o.allowed); meant != "" && text != "" {
				return fmt.Errorf("%s is not known; did you mean %s? allowed are %s", shown(text), meant, strings.Join(o.allowed, ", "))
			}
			return fmt.Errorf("%s is not known%s", shown(text), allowedText(o.allowed))
		}
		v.SetString(text)
	case reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "on", "yes":
			v.SetBool(true)
		case "false", "off", "no":
			v.SetBool(false)
		default:
			return want
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return want
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return want
		}
		v.SetUint(i)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return want
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("cannot be configured (%s)", v.Type())
	}
	return nil
}

// wanted says in words what a type takes.
func wanted(t reflect.Type, o options) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 15s, 10m or 14d"
	case o.size:
		return "a size such as 64KiB, 512MiB or 2GiB"
	}
	switch t.Kind() {
	case reflect.String:
		if o.allowed != nil {
			return "one of " + strings.Join(o.allowed, ", ")
		}
		return "a text"
	case reflect.Bool:
		return "on or off (true or false)"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys with values"
	}
	return "a single value"
}

func allowedText(allowed []string) string {
	if allowed == nil {
		return ""
	}
	return "; allowed are " + strings.Join(allowed, ", ")
}

// shown is a value for an error text: not empty, and not a page long.
func shown(text string) string {
	if len(text) > 60 {
		return strconv.Quote(strings.ToValidUTF8(text[:60], "")) + "..."
	}
	if text == "" || strings.ContainsAny(text, " :;,\"\n\t") {
		return strconv.Quote(text)
	}
	return text
}

var durationPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d)`)

// parseDuration takes what time.ParseDuration takes, days too, and 0; none is
// negative.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%s is not a duration such as 15s, 10m or 14d", shown(text))
	if text == "0" {
		return 0, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%s has no unit; write a duration such as 15s, 10m or 14d", shown(text))
	}
	total, rest := 0.0, text
	for rest != "" {
		part := durationPart.FindStringSubmatch(rest)
		if part == nil {
			return 0, wrong
		}
		rest = rest[len(part[0]):]
		number, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, wrong
		}
		unit := 24 * time.Hour
		if part[2] != "d" {
			if unit, err = time.ParseDuration("1" + part[2]); err != nil {
				return 0, wrong
			}
		}
		total += number * float64(unit)
	}
	if text == "" {
		return 0, wrong
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%s is too long for a duration", shown(text))
	}
	return time.Duration(math.Round(total)), nil
}

var sizeParts = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`)

// parseSize reads bytes, with or without one of the units that are powers of
// 1024. Units of 1000 are refused: nobody knows which was meant.
func parseSize(text string) (int64, error) {
	wrong := fmt.Errorf("%s is not a size such as 64KiB, 512MiB or 2GiB", shown(text))
	parts := sizeParts.FindStringSubmatch(text)
	if parts == nil {
		return 0, wrong
	}
	number, err := strconv.ParseFloat(parts[1], 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, wrong
	}
	var unit float64
	switch strings.ToLower(parts[2]) {
	case "", "b":
		unit = 1
	case "kib":
		unit = 1 << 10
	case "mib":
		unit = 1 << 20
	case "gib":
		unit = 1 << 30
	case "tib":
		unit = 1 << 40
	case "k", "kb", "m", "mb", "g", "gb", "t", "tb":
		return 0, fmt.Errorf("%s is not a size; write %s%siB", shown(text), parts[1], strings.ToUpper(parts[2][:1]))
	default:
		return 0, wrong
	}
	bytes := number * unit
	if bytes >= math.MaxInt64 {
		return 0, fmt.Errorf("%s is too large for a size", shown(text))
	}
	if bytes != math.Trunc(bytes) {
		return 0, wrong
	}
	return int64(bytes), nil
}
