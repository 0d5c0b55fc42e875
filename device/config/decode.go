package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder fills one Go value from a document.
type decoder struct {
	document *Document
	errs     Errors
	// failed holds the paths of values that could not be filled. What a
	// Validate method says of them would be about a value nobody gave.
	failed []string
}

// Decode fills what into points to and has it validated. Lists and maps of the
// file replace those that were there; of structs, only the keys in the file
// change. It returns nil when all is right.
func (d *Document) Decode(into any) Errors {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return Errors{{Source: d.name, Text: fmt.Sprintf("cannot decode into %T; a pointer is needed", into)}}
	}
	dec := &decoder{document: d}
	dec.value(d.root, v.Elem(), "", options{})
	dec.validate(v.Elem(), d.root, d.root, "")
	if len(dec.errs) == 0 {
		return nil
	}
	return dec.errs.sorted()
}

// fail reports the value n, and bars it from validation.
func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.failed = append(d.failed, path)
	d.report(n, path, fmt.Sprintf(format, args...))
}

func (d *decoder) report(n *yaml.Node, path, text string) {
	at := d.document.places[n]
	d.errs = append(d.errs, Error{Source: at.source, Line: at.line, Column: at.column, Key: path, Text: text})
}

// value fills v from n.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, o options) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			setDefaults(v)
		}
		d.value(n, v.Elem(), path, o)
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		d.fail(n, path, "has no value; give one or remove the key")
		return
	}
	if d.readsItself(n, v, path) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.keyed(n, v, path, o)
	case reflect.Slice:
		d.list(n, v, path, o)
	default:
		d.scalar(n, v, path, o)
	}
}

// readsItself handles the types that bring their own reading.
func (d *decoder) readsItself(n *yaml.Node, v reflect.Value, path string) bool {
	switch self := v.Addr().Interface().(type) {
	case yaml.Unmarshaler:
		if err := self.UnmarshalYAML(n); err != nil {
			d.failed = append(d.failed, path)
			d.own(n, path, err)
		}
		return true
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			d.fail(n, path, "want a single value, not %s", kindOf(n))
		} else if err := self.UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, path, "%v", err)
		}
		return true
	}
	return false
}

var errorLine = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+):(?: column [0-9]+:)? (.*)$`)

// own reports the error of an UnmarshalYAML. It may name a line of its own, or
// a key as a Validate method does.
func (d *decoder) own(n *yaml.Node, path string, err error) {
	var several *yaml.TypeError
	texts := []string{err.Error()}
	if errors.As(err, &several) {
		texts = several.Errors
	} else if joined := flatten(err, ""); len(joined) > 1 {
		texts = joined
	}
	for _, text := range texts {
		where := n
		if parts := errorLine.FindStringSubmatch(text); parts != nil {
			text = parts[2]
			if line, err := strconv.Atoi(parts[1]); err == nil {
				if found := onLine(n, line); found != nil {
					where = found
				}
			}
		}
		found := target{node: n, place: where, path: path}
		if text, ok := found.follow(nil, text); ok {
			d.report(found.place, found.path, text)
			continue
		}
		d.report(where, path, text)
	}
}

// onLine finds the first value on the line, in or below n.
func onLine(n *yaml.Node, line int) *yaml.Node {
	if n.Line == line {
		return n
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Line == line {
				return n.Content[i+1]
			}
			continue
		}
		if found := onLine(c, line); found != nil {
			return found
		}
	}
	return nil
}

// mapping fills a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	known := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "want keys (%s), not %s", strings.Join(keysOf(known), ", "), kindOf(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		at := slices.IndexFunc(known, func(f field) bool { return f.key == key })
		if at < 0 {
			d.unknown(n, value, key, path, known)
			continue
		}
		d.value(value, v.FieldByIndex(known[at].index), join(path, key), known[at].options)
	}
	for _, f := range known {
		if !f.required || slices.Contains(d.failed, join(path, f.key)) {
			continue
		}
		switch given := child(n, f.key); {
		case given == nil:
			d.fail(n, join(path, f.key), "missing; add it%s", allowedText(f.allowed))
		case given.Kind == yaml.ScalarNode && given.Value == "":
			d.fail(given, join(path, f.key), "is empty; give a value%s", allowedText(f.allowed))
		}
	}
}

func (d *decoder) unknown(n, value *yaml.Node, key, path string, known []field) {
	keys := keysOf(known)
	text := "unknown key;"
	if meant := nearest(key, keys); meant != "" {
		if child(n, meant) == nil {
			// The key that was meant is missing only because of this mistake.
			d.failed = append(d.failed, join(path, meant))
		}
		text += " did you mean " + meant + "?"
	}
	slices.Sort(keys)
	d.report(value, join(path, key), text+" allowed are "+strings.Join(keys, ", "))
}

// keyed fills a map.
func (d *decoder) keyed(n *yaml.Node, v reflect.Value, path string, o options) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "want keys with values, not %s", kindOf(n))
		return
	}
	made := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		name := reflect.New(v.Type().Key()).Elem()
		d.scalar(&yaml.Node{Kind: yaml.ScalarNode, Value: key}, name, join(path, key), options{})
		item := reflect.New(v.Type().Elem())
		setDefaults(item)
		d.value(value, item.Elem(), join(path, key), o)
		made.SetMapIndex(name, item.Elem())
	}
	v.Set(made)
}

// list fills a slice.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, o options) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "want a list such as [one, two], not %s", kindOf(n))
		return
	}
	made := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		setDefaults(made.Index(i).Addr())
		d.value(item, made.Index(i), path+"["+strconv.Itoa(i)+"]", o)
	}
	v.Set(made)
}

// setDefaults fills a value that the decoder made.
func setDefaults(pointer reflect.Value) {
	if s, ok := pointer.Interface().(interface{ SetDefaults() }); ok {
		s.SetDefaults()
	}
}
