package config

import (
	"encoding"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// validate calls the Validate method of v and of all that it holds, the inner
// ones first. n is the node of v, nil if the file has none; near is the nearest
// one that it has.
func (d *decoder) validate(v reflect.Value, n, near *yaml.Node, path string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Kind() == reflect.Pointer {
			d.validate(v.Elem(), n, near, path)
		}
		return
	case reflect.Struct:
		d.validateFields(v, n, near, path)
	case reflect.Slice:
		for i := range v.Len() {
			item, nearItem := itemOf(n, i), near
			if item != nil {
				nearItem = item
			}
			d.validate(v.Index(i), item, nearItem, path+"["+strconv.Itoa(i)+"]")
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(keyText(a), keyText(b)) })
		for _, key := range keys {
			held := reflect.New(v.Type().Elem()).Elem()
			held.Set(v.MapIndex(key))
			d.validateChild(held, n, near, path, keyText(key))
		}
	}
	if !v.CanAddr() {
		return
	}
	if self, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		for _, text := range flatten(self.Validate(), "") {
			d.judge(v.Type(), n, near, path, text)
		}
	}
}

func (d *decoder) validateFields(v reflect.Value, n, near *yaml.Node, path string) {
	switch v.Addr().Interface().(type) {
	case yaml.Unmarshaler, encoding.TextUnmarshaler:
		return // its fields are its own affair
	}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case f.Type.Kind() == reflect.Struct && strings.Contains(rest, "inline"):
			d.validate(v.Field(i), n, near, path)
		case name == "":
			d.validateChild(v.Field(i), n, near, path, strings.ToLower(f.Name))
		default:
			d.validateChild(v.Field(i), n, near, path, name)
		}
	}
}

func (d *decoder) validateChild(v reflect.Value, n, near *yaml.Node, path, key string) {
	inner := child(n, key)
	if inner != nil {
		near = inner
	}
	d.validate(v, inner, near, join(path, key))
}

// judge reports one error of a Validate method at its key, unless the value
// there could not be decoded in the first place.
func (d *decoder) judge(t reflect.Type, n, near *yaml.Node, path, text string) {
	found := target{node: n, place: near, path: path}
	if rest, ok := found.follow(t, text); ok {
		text = rest
	}
	for _, bad := range d.failed {
		if found.path == bad || bad == "" || strings.HasPrefix(found.path, bad+".") || strings.HasPrefix(found.path, bad+"[") {
			return
		}
	}
	d.report(found.place, found.path, text)
}

// flatten returns the texts of joined errors one by one, also where the joined
// error was wrapped: "limits: frame: ..." and "limits: idle: ...".
func flatten(err error, prefix string) []string {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var texts, all []string
		for _, one := range joined.Unwrap() {
			texts = append(texts, one.Error())
			all = append(all, flatten(one, prefix)...)
		}
		// fmt.Errorf with several %w looks the same, but is one sentence.
		if strings.Join(texts, "\n") == err.Error() {
			return all
		}
	}
	if inner := errors.Unwrap(err); inner != nil {
		if before, ok := strings.CutSuffix(err.Error(), inner.Error()); ok && strings.HasSuffix(before, ": ") {
			return flatten(inner, prefix+before)
		}
	}
	return []string{strings.ReplaceAll(prefix+err.Error(), "\n", "; ")}
}

// target is the value that the keys in front of an error lead to.
type target struct {
	node  *yaml.Node // its node, nil if the file has none
	place *yaml.Node // the nearest node that the file has
	path  string
}

var (
	plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+`)
	itemKey  = regexp.MustCompile(`^\[([0-9]+)\]`)
)

// follow walks keys such as `serial.baud: ` or `allow_from[1]: ` at the front
// of text and returns what is left. Of t, nil where only the nodes tell, it
// takes the keys that there are.
func (g *target) follow(t reflect.Type, text string) (rest string, ok bool) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	key, next, inner := g.step(t, text)
	if key == "" {
		return text, false
	}
	going := *g
	if strings.HasPrefix(key, "[") {
		going.path += key
	} else {
		going.path = join(going.path, key)
	}
	i, isItem := index(key)
	if isItem {
		going.node = itemOf(g.node, i)
	} else {
		going.node = child(g.node, key)
	}
	if going.node != nil {
		going.place = going.node
	}
	after := text[len(key):]
	switch {
	case strings.HasPrefix(after, ": "):
		*g = going
		if deeper, ok := g.follow(next, after[2:]); ok {
			return deeper, true
		}
		return after[2:], true
	case strings.HasPrefix(after, "[") && inner:
	case strings.HasPrefix(after, ".") && inner:
		after = after[1:]
	default:
		return text, false
	}
	if rest, ok = going.follow(next, after); ok {
		*g = going
	}
	return rest, ok
}

// step returns the key at the front of text, the type of its value, and whether
// that may hold keys or items itself.
func (g *target) step(t reflect.Type, text string) (key string, next reflect.Type, inner bool) {
	kind := reflect.Invalid
	if t != nil {
		kind = t.Kind()
		if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
			t, kind = nil, reflect.Invalid
		}
	}
	if item := itemKey.FindString(text); item != "" {
		switch {
		case kind == reflect.Slice:
			return item, t.Elem(), true
		case t == nil && g.node != nil && g.node.Kind == yaml.SequenceNode:
			return item, nil, true
		}
		return "", nil, false
	}
	switch {
	case kind == reflect.Struct:
		name := plainKey.FindString(text)
		for _, f := range fieldsOf(t) {
			if f.key == name {
				return name, t.FieldByIndex(f.index).Type, true
			}
		}
	case kind == reflect.Map, t == nil:
		if t != nil {
			next = t.Elem()
		}
		if g.node == nil {
			return "", nil, false
		}
		var keys []string
		for i := 0; i+1 < len(g.node.Content) && g.node.Kind == yaml.MappingNode; i += 2 {
			keys = append(keys, g.node.Content[i].Value)
		}
		slices.SortFunc(keys, func(a, b string) int { return len(b) - len(a) })
		for _, one := range keys {
			if after, found := strings.CutPrefix(text, one); found && after != "" && strings.ContainsRune(":.[", rune(after[0])) {
				return one, next, true
			}
		}
	}
	return "", nil, false
}

func itemOf(n *yaml.Node, i int) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
		return nil
	}
	return n.Content[i]
}

func keyText(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	}
	return ""
}
