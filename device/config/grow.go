package config

import "gopkg.in/yaml.v3"

// grown is a text to which something was added: grow writes it into the text, which
// it may refuse, and is believed where the text then says the same as before but
// for what was to be added.
func grown(data []byte, grow func(text string, root *yaml.Node) (string, bool), alike func(before, after *Document) bool) ([]byte, error) {
	before, errs := Parse(data, "")
	if errs != nil {
		return nil, errs
	}
	text, bad := decodeText(data)
	if bad != nil {
		return nil, bad
	}
	root, bad := parseYAML(text)
	if bad != nil {
		return nil, bad
	}
	added, ok := grow(text, root)
	if !ok {
		return nil, errWritten
	}
	result := encodeText(added, data)
	after, errs := Parse(result, "")
	if errs != nil || !alike(before, after) {
		return nil, errWritten
	}
	return result, nil
}
