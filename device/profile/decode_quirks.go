package profile

import (
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

func (d *definition) readQuirks(n *yaml.Node) {
	var keys []key
	for _, one := range d.quirks.all() {
		keys = append(keys, key{one.key, func(n *yaml.Node) { d.readQuirk(n, one) }})
	}
	d.mapping(n, "quirks", keys...)
}

func (d *definition) readQuirk(n *yaml.Node, one quirk) {
	what := "quirks." + one.key
	if one.hl7 && d.protocol != envelope.HL7 {
		d.fail(n, "%s: only HL7 messages are acknowledged so; remove it", what)
	}
	var err error
	switch text := d.full(n, what); {
	case text == "": // said already
		return
	case one.text != nil:
		*one.text = text
	case one.size != nil:
		if *one.size, err = strconv.Atoi(text); err != nil {
			d.fail(n, "%s: %s is no whole number such as %d", what, text, lis01.SafeText)
			return
		}
	default:
		if *one.timeout, err = time.ParseDuration(text); err != nil {
			d.fail(n, "%s: %s is no duration such as 15s", what, text)
			return
		}
	}
	if problem := one.problem(); problem != "" {
		d.fail(n, "%s: %s", what, problem)
	}
}

func (d *definition) readCharset(n *yaml.Node) {
	if d.charset = d.full(n, "charset"); d.charset == "" {
		return // said already
	}
	if _, err := Charset(d.charset); err != nil {
		d.fail(n, "charset: %v", err)
	}
}
