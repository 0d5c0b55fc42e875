package config

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// Render writes the document as YAML, without the comments of its file and with
// aliases followed. Each scalar goes through show, which gets the key that it
// stands under (that of the list, in a list) and returns what is written in its
// place.
func (d *Document) Render(show func(key, value string) string) ([]byte, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(rendered(d.root, "", show)); err != nil {
		return nil, err
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

func rendered(n *yaml.Node, key string, show func(key, value string) string) *yaml.Node {
	copied := &yaml.Node{Kind: n.Kind, Style: n.Style &^ yaml.TaggedStyle, Tag: n.Tag, Value: n.Value}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			copied.Content = append(copied.Content,
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name.Value},
				rendered(n.Content[i+1], name.Value, show))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			copied.Content = append(copied.Content, rendered(item, key, show))
		}
	case yaml.ScalarNode:
		if shown := show(key, n.Value); shown != n.Value {
			copied.Value, copied.Tag, copied.Style = shown, "!!str", yaml.DoubleQuotedStyle
		}
	}
	return copied
}
