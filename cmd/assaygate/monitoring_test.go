package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// monitoring is where rules, dashboard and their page stand.
const monitoring = "../../docs/monitoring"

// ruleFile is what Prometheus loads, as far as the tests look at it.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

// readRules decodes a rules file strictly but for what it does not look at.
func readRules(t *testing.T, text []byte) ruleFile {
	t.Helper()
	var file ruleFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) == 0 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("no rules in\n%s", text)
	}
	return file
}

func readMonitoring(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each alert is seen to fire with labels and annotations, and not to fire.
func TestMonitoringTestsEveryAlert(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(monitoring, "*.test.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules: %v", err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, path := range files {
		var file struct {
			Tests []struct {
				Alerts []struct {
					Name     string `yaml:"alertname"`
					Expected []struct {
						Labels      map[string]string `yaml:"exp_labels"`
						Annotations map[string]string `yaml:"exp_annotations"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal(readMonitoring(t, filepath.Base(path)), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, test := range file.Tests {
			for _, alert := range test.Alerts {
				if len(alert.Expected) == 0 {
					quiet[alert.Name] = true
				}
				for _, expected := range alert.Expected {
					fires[alert.Name] = fires[alert.Name] || len(expected.Labels) > 0 && len(expected.Annotations) > 0
				}
			}
		}
	}
	for _, group := range readRules(t, readMonitoring(t, "assaygate.rules.yml")).Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] {
				t.Errorf("no test sees %s fire with labels and annotations", rule.Alert)
			}
			if !quiet[rule.Alert] {
				t.Errorf("no test sees %s not fire", rule.Alert)
			}
		}
	}
}

// alertsPage is the manual's page of alerts.
const alertsPage = "../../docs/alerts.md"

// Who is woken by an alert finds what it means and what to do in itself, in a
// section of the manual, and in the table beside the rules.
func TestMonitoringExplainsEveryAlert(t *testing.T) {
	sections := alertSections(t)
	inPage := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Assaygate[A-Za-z]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(readMonitoring(t, "README.md")), -1) {
		inPage[row[1]+" "+row[2]] = true
	}
	for _, group := range readRules(t, readMonitoring(t, "assaygate.rules.yml")).Groups {
		for _, rule := range group.Rules {
			for _, name := range []string{"summary", "description", "action"} {
				if rule.Annotations[name] == "" {
					t.Errorf("%s has no %s", rule.Alert, name)
				}
			}
			severity := rule.Labels["severity"]
			if !slices.Contains([]string{"critical", "warning"}, severity) {
				t.Errorf("%s has the severity %q", rule.Alert, severity)
			}
			if row := rule.Alert + " " + severity; !inPage[row] {
				t.Errorf("the page's table has no row %q", row)
			} else {
				delete(inPage, row)
			}
			for _, fault := range faultsOfSection(sections[rule.Alert], severity) {
				t.Errorf("docs/alerts.md, section %s: %s", rule.Alert, fault)
			}
			delete(sections, rule.Alert)
			if want := "docs/alerts.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook"] != want {
				t.Errorf("%s: the runbook is %q, want %q", rule.Alert, rule.Annotations["runbook"], want)
			}
		}
	}
	for row := range inPage {
		t.Errorf("the page's table has %q, the rules do not", row)
	}
	for name := range sections {
		t.Errorf("docs/alerts.md has a section %s, the rules have no such alert", name)
	}
}

// alertSections returns the sections of the manual's page, by their headings.
func alertSections(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(alertsPage)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(page), "\n## ")[1:] {
		heading, text, _ := strings.Cut(part, "\n")
		sections[heading] = text
	}
	return sections
}

// faultsOfSection is what a section of the manual lacks.
func faultsOfSection(text, severity string) (list []string) {
	if text == "" {
		return []string{"there is none"}
	}
	if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "*"+severity+":") {
		list = append(list, "it does not begin with the severity "+severity)
	}
	for _, part := range []string{"Means", "For results", "Look at", "Do", "Over"} {
		if !strings.Contains(text, "\n- **"+part+"**") {
			list = append(list, "it lacks "+part)
		}
	}
	return list
}

// dashboard is what Grafana imports, as far as the tests look at it.
type dashboard struct {
	Schema     int `json:"schemaVersion"`
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ UID string }
		Targets     []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(readMonitoring(t, "assaygate-dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every panel asks something, of the data source and of the boxes that were
// chosen.
func TestMonitoringDashboard(t *testing.T) {
	d := readDashboard(t)
	variables := map[string]string{}
	for _, variable := range d.Templating.List {
		variables[variable.Name] = variable.Type
	}
	if variables["datasource"] != "datasource" || variables["instance"] != "query" {
		t.Errorf("variables %v", variables)
	}
	var rows []string
	seen := map[int]bool{}
	for _, panel := range d.Panels {
		if seen[panel.ID] {
			t.Errorf("%s: the id %d is there twice", panel.Title, panel.ID)
		}
		seen[panel.ID] = true
		if panel.Type == "row" {
			rows = append(rows, panel.Title)
			continue
		}
		if len(panel.Targets) == 0 {
			t.Errorf("%s asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			if panel.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s asks another data source than the chosen one", panel.Title)
			}
			metrics := len(metricName.FindAllString(target.Expr, -1))
			if strings.HasPrefix(target.Expr, "up{") || strings.Contains(target.Expr, "ALERTS{") {
				metrics = 1
			}
			if metrics == 0 || strings.Count(target.Expr, `instance=~"$instance"`) != metrics {
				t.Errorf("%s asks all boxes or none: %s", panel.Title, target.Expr)
			}
		}
	}
	if want := []string{"Overview", "Instruments", "Delivery", "Store", "Updates"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

// grafana replaces what Grafana puts into a query.
var grafana = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1d", "$instance", ".+")

// promtool reads no dashboards and no pages, but rules: each query becomes one.
func TestMonitoringQueriesParse(t *testing.T) {
	promtool := os.Getenv("ASSAYGATE_PROMTOOL")
	if promtool == "" {
		t.Skip("*** SKIPPED: the dashboard's queries are not parsed; make test-monitoring does it ***")
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var queries []rule
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			queries = append(queries, rule{Record: fmt.Sprintf("panel:%d:%d", panel.ID, len(queries)), Expr: grafana.Replace(target.Expr)})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": queries}}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, text []byte) {
		path := filepath.Join(t.TempDir(), "checked.yml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(promtool, "check", what, path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", what, err, out, text)
		}
	}
	check("rules", text)
	for _, example := range pageExamples(t, "groups:") {
		check("rules", example)
	}
	rules, err := filepath.Abs(filepath.Join(monitoring, "assaygate.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range pageExamples(t, "global:") {
		check("config", bytes.ReplaceAll(example, []byte("[assaygate.rules.yml]"), []byte("["+rules+"]")))
	}
}

// pageExamples returns the page's examples that begin with a word.
func pageExamples(t *testing.T, with string) (examples [][]byte) {
	t.Helper()
	for _, found := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllSubmatch(readMonitoring(t, "README.md"), -1) {
		if bytes.HasPrefix(found[1], []byte(with)) {
			examples = append(examples, found[1])
		}
	}
	if len(examples) == 0 {
		t.Fatalf("the page has no example with %q", with)
	}
	return examples
}
