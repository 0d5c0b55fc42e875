package senaite

import (
	"errors"
	"fmt"

	"github.com/assaygate/assaygate/envelope"
	"gopkg.in/yaml.v3"
)

// stockConsumer is the one that SENAITE registers by itself.
const stockConsumer = "senaite.core.lis2a.import"

// Consumer names SENAITE's push consumers. In YAML it is one name for all
// messages, or an object with the keys astm and hl7. Vendor formats go to the
// astm one, which gets the same records.
type Consumer struct {
	ASTM string
	HL7  string
}

// UnmarshalYAML implements yaml.Unmarshaler. A key that is left out keeps its
// value.
func (c *Consumer) UnmarshalYAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.AliasNode:
		return c.UnmarshalYAML(node.Alias)
	case yaml.ScalarNode:
		c.ASTM, c.HL7 = node.Value, node.Value
		return nil
	case yaml.MappingNode:
	default:
		return errors.New("a name is wanted, or {astm: NAME, hl7: NAME}")
	}
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i].Value, node.Content[i+1]
		switch {
		case key != "astm" && key != "hl7":
			errs = append(errs, fmt.Errorf("%s: is not a key here; the keys are astm and hl7", key))
		case value.Kind != yaml.ScalarNode:
			errs = append(errs, fmt.Errorf("%s: the name of a push consumer is wanted", key))
		case key == "astm":
			c.ASTM = value.Value
		default:
			c.HL7 = value.Value
		}
	}
	return errors.Join(errs...)
}

func (c Consumer) validate() error {
	if c.ASTM == "" || c.HL7 == "" {
		return fmt.Errorf("a name is missing; stock SENAITE registers %s", stockConsumer)
	}
	return nil
}

func (c Consumer) of(e envelope.Envelope) string {
	if e.Protocol == envelope.HL7 {
		return c.HL7
	}
	return c.ASTM
}
