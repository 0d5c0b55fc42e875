package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// A check and its report tell the sample's id and nothing else of a message; where
// an allowlist drops that, not even it.
func TestCommissionShowsNothingOfAMessage(t *testing.T) {
	const sample = "ZIEGLERMUSTERFRAU-7"
	text := "H|\\^&|1||XN-550^1|||||||P|1|20260102030405\rP|1||||KOWALSKI^ANNA\rO|1|" + sample + "||^^^GLU\rR|1|^^^GLU|5.1|mmol/L\rL|1|N\r"
	for name, test := range map[string]struct {
		privacy string
		shown   bool
	}{
		"everything is kept":     {"", true},
		"no sample id is kept":   {"privacy: {astm: {allow: {H: [5, 12, 14], R: [3, 4, 5]}, drop_unmatched_records: false}}\n", false},
		"the sample id is kept":  {"privacy: {astm: {allow: {H: [5, 12, 14], P: [], O: [3], R: [3, 4, 5]}, drop_unmatched_records: false}}\n", true},
		"the records have to be": {"privacy: {astm: {allow: {H: [5, 12, 14], O: [3], R: [3, 4, 5]}, drop_unmatched_records: true}}\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, directory := newLIMS(t), t.TempDir()
			if test.privacy != "" && !test.shown {
				test.privacy = strings.Replace(test.privacy, "R: [", "O: [], P: [], R: [", 1)
			}
			r := start(t, base(directory)+"instruments: [{name: analyser, "+lanLine+"}]\n"+test.privacy+lims(server, directory))
			pages := "http://" + r.addresses[consoleServer] + "/commission/analyser"
			pageAt(t, pages)
			sends(t, dial(t, r.addresses["analyser"]), []byte{lis01.ENQ}, oneFrame(text), []byte{lis01.EOT})
			for _, path := range []string{pages, pages + "/report"} {
				shown := ""
				eventually(t, "the message is on the card", func() bool { shown = pageAt(t, path); return strings.Contains(shown, "is on the card") })
				if strings.Contains(shown, sample) != test.shown {
					t.Errorf("%s shows the sample's id: %v, want %v", path, !test.shown, test.shown)
				}
				for _, part := range []string{"KOWALSKI", "5.1", "mmol"} {
					if strings.Contains(shown, part) {
						t.Errorf("%s shows %s", path, part)
					}
				}
			}
		})
	}
}

func pageAt(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(fmt.Sprint(url, " ", response.Status, " ", err))
	}
	return string(text)
}
