package configdrive

import (
	"strings"
	"testing"
)

func TestPassedOver(t *testing.T) {
	for name, want := range map[string]string{
		"assaygate.yaml": "", "ASSAYGATE.YAML": "", "tls/box.pem": "", "Profiles/xn.yaml": "", "collect.txt": "", "password-lims.txt": "",
		"System Volume Information/IndexerVolumeGuid": "", "._assaygate.yaml": "", "tls/.DS_Store": "", "assaygate-report.txt": "",
		"assaygate-export-ward/spool/1": "",
		"metadata/timestamp.json":       "",
		"Targets/bundles/1.raucb":       "",
		"metadata":                      "no box looks at",
		"assaygate.yaml.txt":            "name it assaygate.yaml",
		"assaygate.yml":                 "name it assaygate.yaml",
		"restore.age.txt":               "name it restore.age",
		"notes.docx":                    "no box looks at",
		"profiles/xn.txt":               "no box looks at",
		"deep/assaygate.yaml":           "no box looks at",
		"tls/box (1).pem":               "this name cannot be used",
		"profiles/my own.yaml":          "this name cannot be used",
		"tls/deep/box.pem":              "this name cannot be used",
	} {
		if got := PassedOver(name); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
