package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// elements is what an ICP optical emission spectrometer reports: thirty
// elements of one sample, and no patient.
func elements() []byte {
	var m strings.Builder
	m.WriteString("H|\\^&|ICP-1||Optima^8.0^S-42|||||||P|LIS2-A2|20260102030405\rO|1|SIM-ICP-1||^^^METALS|R\r")
	for i, element := range strings.Fields("Ag Al As B Ba Be Bi Ca Cd Co Cr Cu Fe Hg K Li Mg Mn Mo Na Ni P Pb S Sb Se Si Sn Sr Zn") {
		fmt.Fprintf(&m, "R|%d|^^^%s|%d.%03d|mg/L|0 - 100|N||F||||20260102030%d00\r", i+1, element, i, i*7, i%10)
	}
	m.WriteString("L|1|N\r")
	return []byte(m.String())
}

// masses is what a mass spectrometer reports.
const masses = "MSH|^~\\&|QTRAP^LC|MS|SENAITE|LIS|20260102030405||ORU^R01^ORU_R01|MS-7|P|2.5.1\r" +
	"PID|1||P-1\rOBR|1|SIM-MS-1|SIM-MS-1|DRUGS^Drug screen^L\r" +
	"OBX|1|NM|THC^Tetrahydrocannabinol^L||<0.5|ng/mL^ng/mL^UCUM|0-5|N|||F|||20260102030300||op\r" +
	"OBX|2|NM|COC^Cocaine^L||12.75|ng/mL^ng/mL^UCUM|0-10|H|||F|||20260102030300||op\r"

// importer is what one importer in the LIMS reads of either protocol.
type importer struct {
	H []struct {
		Sender struct {
			Name string `json:"name"`
		} `json:"sender"`
		Timestamp string `json:"timestamp"`
	}
	O []struct {
		SampleID string `json:"sample_id"`
		Test     string `json:"test"`
	}
	R []struct {
		Test         string `json:"test"`
		Value        string `json:"value"`
		Units        string `json:"units"`
		References   string `json:"references"`
		AbnormalFlag string `json:"abnormal_flag"`
		Status       string `json:"status"`
		CompletedAt  string `json:"completed_at"`
	}
	Assaygate struct {
		SampleID string           `json:"sample_id"`
		Results  []map[string]any `json:"results"`
	} `json:"assaygate"`
}

// Two unknown instruments, one of each protocol, reach one consumer under equal
// keys: one importer serves both.
func TestBothProtocolsReachOneImporter(t *testing.T) {
	server := newLIMS(t)
	gateway := start(t, base(t.TempDir())+lims(server, t.TempDir())+lanInstruments)
	gateway.play("lan", simulator.ASTM, elements(), simulator.Options{Verbatim: true})
	gateway.play("hl7", simulator.HL7, []byte(masses), simulator.Options{Verbatim: true})
	if err := server.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	var said []string
	keys := map[string]bool{}
	for _, push := range server.Pushes() {
		if push.Consumer != senaitetest.StockConsumer {
			t.Errorf("pushed to %s", push.Consumer)
		}
		var m importer
		if err := json.Unmarshal([]byte(push.Message), &m); err != nil {
			t.Fatal(err)
		}
		if m.H[0].Timestamp == "" || m.Assaygate.SampleID != m.O[0].SampleID || len(m.Assaygate.Results) != len(m.R) {
			t.Errorf("%+v", m)
		}
		for i, r := range m.R {
			one := m.Assaygate.Results[i]
			if r.References == "" || r.AbnormalFlag == "" || r.Status == "" || r.CompletedAt == "" || one["value"] != r.Value || one["units"] != r.Units || one["test"] != r.Test {
				t.Errorf("record %+v, result %v", r, one)
			}
			for key := range one {
				keys[key] = true
			}
		}
		last := m.R[len(m.R)-1]
		said = append(said, fmt.Sprintf("%s %s %s: %d, last %s %s %s", m.H[0].Sender.Name, m.O[0].SampleID, m.O[0].Test, len(m.R), last.Test, last.Value, last.Units))
	}
	want := "Optima SIM-ICP-1 METALS: 30, last Zn 29.203 mg/L\nQTRAP SIM-MS-1 DRUGS: 2, last COC 12.75 ng/mL"
	slices.Sort(said) // two lanes, in any order
	if got := strings.Join(said, "\n"); got != want || len(keys) != 9 {
		t.Errorf("got\n%s\nwant\n%s\nkeys %v", got, want, keys)
	}
}
