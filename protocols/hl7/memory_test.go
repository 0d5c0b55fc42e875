package hl7

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// everything is each decoder of this package.
func everything() map[string]func(input []byte) {
	return map[string]func(input []byte){
		"Parse": func(in []byte) {
			m, _ := Parse(in)
			runtime.KeepAlive(m)
		},
		"ParseHeader": func(in []byte) {
			m, _ := ParseHeader(in)
			runtime.KeepAlive(m)
			MessageType(m)
		},
		"Fields": func(in []byte) {
			Segment{Name: "MSH", Raw: append([]byte("MSH|"), in...), Delimiters: DefaultDelimiters()}.Fields()
		},
		"Unescape": func(in []byte) { Unescape(nil, in, DefaultDelimiters()) },
		"Escape":   func(in []byte) { Escape(nil, in, DefaultDelimiters()) },
		"Ack":      func(in []byte) { Ack(in, Acknowledgment{Code: Accept}) },
		"AppendQueryResponse": func(in []byte) {
			AppendQueryResponse(nil, in, QueryResponse{Status: NoDataFound})
		},
		"Parts": func(in []byte) {
			for p := range Parts(in) {
				p.Count()
			}
		},
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{
		"\r", "L\r", "MSH|\r", "MSH|", "|", "||\r", "\n", "SPM\r", "ORC\r", "MSH|^~\\&|||||||OML^O33\rSPM\rORC\r", "FHS\r", "BTS|1\n", "MSH",
		"\\", "\\X41\\", "\\XFF\\", "\\.sp99\\", "\\.sk40\\", "\\X41", "\x00", "msh|\rpid|",
	} {
		long := bytes.Repeat([]byte(unit), 1<<18/len(unit))
		for name, use := range everything() {
			memorytest.Bounded(t, name, long, use)
			memorytest.Bounded(t, name, append([]byte("MSH|^~\\&|||||||OML^O33\rSPM\r"), long...), use)
		}
	}
}
