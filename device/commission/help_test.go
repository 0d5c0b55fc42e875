package commission

import (
	"strings"
	"testing"
)

func TestHelpNamesWhatIsToBeSetAtTheAnalyser(t *testing.T) {
	for name, test := range map[string]struct {
		setup Setup
		want  []string
	}{
		"serial":     {Setup{Line: Serial, Language: ASTM, Format: "9600 8N1", Flow: "none", Model: "Sysmex XN series"}, []string{"Sysmex XN series", "ASTM", "9600 8N1", "flow control none"}},
		"listener":   {Setup{Line: Listener, Language: HL7, Addresses: []string{"10.0.0.5", "10.1.0.5"}, Port: "2575", Secure: true}, []string{"HL7", "10.0.0.5 or 10.1.0.5", "port to 2575", "TLS"}},
		"dialled":    {Setup{Line: Dialled, Language: Packets, Port: "10.0.0.7:4000"}, []string{"server", "10.0.0.7:4000", "format"}},
		"no address": {Setup{Line: Listener, Language: ASTM, Port: "4010"}, []string{"that of the box"}},
	} {
		text := strings.Join(Help(test.setup), "\n")
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: lacks %q:\n%s", name, want, text)
			}
		}
	}
}
