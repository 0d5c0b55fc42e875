package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// plantVendor sends the canary in every way that makers' own formats come.
func (a *aviary) plantVendor() {
	a.t.Helper()
	sealed := func(text string, end string) []byte {
		return fmt.Appendf(nil, "%s%s;%d\r", text, end, vendor.EmeraldSum([]byte(text)))
	}
	header := a.bird + ";" + a.bird + ";" + a.bird + ";" + a.bird + "\r"
	result := header + "RESULT\rDATE;09/03/2025\rTIME;07:05:33\rMODE;NORMAL\rUNIT;" + a.bird + "\rSID;E-1\r"
	for _, token := range []string{"PID", "ID", "TYPE", "TEST", "RACK", "POS", "BIRTH", "SEX", "PRESC", "LOCAT", "OPERATOR", "PATIENT COMMENT", a.bird} {
		result += token + ";" + a.bird + ";x^" + a.bird + "\r"
	}
	result += "WBC;7.2;" + a.bird + ";H;" + a.bird + ";4;11;15\rALARMS;" + a.bird + ";\rCOMMENT;" + a.bird + "\r" + a.bird + "\r"
	emerald := a.dial("emerald")
	ask := func(data []byte, want string) {
		a.t.Helper()
		emerald.send(data...)
		if got, err := emerald.replies.ReadString('\r'); err != nil || !strings.HasPrefix(got, want) {
			a.t.Fatalf("answered %q, %v; want %s", got, err, want)
		}
	}
	ask([]byte("CONNECT;"+a.bird+";"+a.bird+"\r"), "ACK_CONNECT;")
	emerald.send([]byte(a.bird + ";" + a.bird + "\r" + a.bird + "\r")...)
	ask(sealed(result, "END_RESULT"), "ACK_RESULT;OK")
	ask(sealed(strings.Replace(result, "MODE;NORMAL", "MODE;QC", 1), "END_RESULT"), "ACK_RESULT;OK")
	ask([]byte(result+"END_RESULT;1\r"), "ACK_RESULT;CRC_ERROR")
	ask(sealed(header+"CALIBRATION;1;09/03/2025;07:05:33;"+a.bird+";x\rWBC;"+a.bird+"\r", "END_CALI"), "ACK_CALI;")
	emerald.send([]byte(header + "STARTUP;" + a.bird + ";" + a.bird + "\r")...)
	emerald.send([]byte(result)...)
	emerald.Close() // inside a frame

	lan := a.dial("lan")
	packet := func(fields ...string) string {
		text := "\x1e" + strings.Join(fields, "|\x1e") + "|\x1d"
		return "\x02" + text + vendor.MiniVIDASSum([]byte(text)) + "\r\n"
	}
	vidas := packet("mtrsl", "pi"+a.bird, "pn"+a.bird+"^"+a.bird, "pb"+a.bird, "ps"+a.bird, "so"+a.bird, "si"+a.bird, "ciV-1", "rtTSH", "rn"+a.bird,
		"tt"+a.bird, "td"+a.bird, "ql"+a.bird, "qn2.3", "y3U", "qd"+a.bird, "nc"+a.bird, "id"+a.bird, "sn"+a.bird, "m4"+a.bird, "zz"+a.bird, a.bird)
	damaged := strings.Replace(vidas, "qn2.3", "qn2.4", 1)
	spotchem := "\x0225/03/09 07:05 " + a.bird + " ID# K-1 [" + a.bird + "] K 4.1 mmol/L " + a.bird + "\x03\r\n"
	lan.send([]byte(vidas + damaged + spotchem + "\x0225/03/09 07:05 " + a.bird + "\x03\r\n" + packet("mtrsl", "pn"+a.bird))...)
	lan.ask([]byte{0x05}, 0x06)
	lan.ask([]byte(vidas), 0x06)
	lan.ask([]byte(damaged), 0x15)
	lan.send(0x04)
	lan.send([]byte(vidas[:len(vidas)/2])...)
	lan.Close() // inside a packet
	eventually(a.t, "what broke off is stored", func() bool {
		found, err := a.store.List(a.t.Context(), spool.Filter{Intake: envelope.Incomplete, Limit: 100})
		return err == nil && len(found) == 2
	})
	a.settled()
}

const canaryVendorConfig = `
box: {name: ward}
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: emerald, emerald: {listen: "127.0.0.1:0"}, deliver: [result, qc, calibration]}
privacy: {astm: {allow: %s, drop_unmatched_records: true}}
log: {level: debug}
`

// TestCanaryInMakersFormats plants the name in every field of the makers' own
// formats, and looks for it at every way out; where the allowlist lets it pass it
// has to be there, or the test would prove nothing.
func TestCanaryInMakersFormats(t *testing.T) {
	for name, allow := range map[string]string{"dropped": "{O: [3], R: [3, 4, 5]}", "passes": "{P: [5, 6], O: [3, 4, 5], R: [3, 4, 5, 7], C: [4]}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &aviary{server: newLIMS(t), directory: t.TempDir(), bird: canary}
			a.running = start(t, base(a.directory)+fmt.Sprintf(canaryVendorConfig, allow)+traced(undemanding(a.server, a.directory)))
			a.onlookers = a.lookOnAll()
			a.plantVendor()
			found := a.everywhere()
			if name == "passes" {
				for _, where := range []string{"pushed", "captures", "store", "message page"} {
					if len(found[where]) == 0 {
						t.Errorf("%s does not show it: %v", where, slices.Sorted(maps.Keys(found)))
					}
				}
				return
			}
			found.report(t)
			all := ""
			for _, push := range a.server.Pushes() {
				all += push.Message
			}
			for _, want := range []string{`"sample_id":"E-1"`, `"sample_id":"V-1"`, `"sample_id":"K-1"`, `"value":"7.2"`, `"kind":"qc"`, `"kind":"calibration"`} {
				if !strings.Contains(all, want) {
					t.Errorf("%s did not arrive", want)
				}
			}
		})
	}
}
