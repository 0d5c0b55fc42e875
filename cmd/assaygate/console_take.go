package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/probe"
)

// withPort adds what was found at a port to the text of a configuration: to the
// instrument that has the port there already, else as an instrument of its own.
func (d *daemon) withPort(text, name string) (string, error) {
	p := d.errands.probe(name)
	if p == nil {
		return "", errNotProbed
	}
	p.mu.Lock()
	found := p.found
	p.mu.Unlock()
	if found == nil {
		return "", errNotProbed
	}
	if failed, _ := found.words(); failed != "" {
		return "", errors.New(failed)
	}
	var rewritten []byte
	var err error
	c, _ := readableConfig([]byte(text))
	at := slices.IndexFunc(c.Instruments, func(i Instrument) bool {
		return i.Serial != nil && (i.Serial.Port == found.Port || i.Serial.Port == found.Path)
	})
	if at >= 0 {
		rewritten, err = retuned([]byte(text), fmt.Sprintf("instruments[%d].serial.", at), c.Instruments[at].Serial.Port, found.Verdict.Setting)
	} else {
		rewritten, err = config.AddItem([]byte(text), "instruments", "name: "+freeName(c)+"\n"+found.YAML)
	}
	if err != nil {
		return "", fmt.Errorf("the lines cannot be put into this configuration by themselves, because of how it is written; write them there: %w", err)
	}
	return string(rewritten), nil
}

var errNotProbed = errors.New("nothing is known of this port: listen to it first")

// freeName is a name that no instrument has.
func freeName(c Config) string {
	name := "analyser"
	for n := 2; slices.ContainsFunc(c.Instruments, func(i Instrument) bool { return strings.EqualFold(i.Name, name) }); n++ {
		name = "analyser-" + strconv.Itoa(n)
	}
	return name
}

// retuned gives the serial line of a port other settings. Those that it does not
// name yet come behind its port.
func retuned(text []byte, path, port string, s probe.Setting) ([]byte, error) {
	document, errs := config.Parse(text, "")
	if errs != nil {
		return nil, errs
	}
	var err error
	behind := []config.Pair{{Key: "port", Value: port}}
	for _, pair := range []config.Pair{
		{Key: "baud", Value: strconv.Itoa(s.Baud)},
		{Key: "data_bits", Value: strconv.Itoa(s.DataBits)},
		{Key: "parity", Value: s.Parity},
		{Key: "stop_bits", Value: strconv.Itoa(s.StopBits)},
	} {
		if !document.Has(path + pair.Key) {
			behind = append(behind, pair)
		} else if text, err = config.Rewrite(text, path+pair.Key, pair); err != nil {
			return nil, err
		}
	}
	if len(behind) == 1 {
		return text, nil
	}
	return config.Rewrite(text, path+"port", behind...)
}
