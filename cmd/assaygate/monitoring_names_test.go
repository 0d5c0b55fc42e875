package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	metricName = regexp.MustCompile(`\b(?:assaygate|senaite_astm)_[a-z0-9_]+\b`)
	selector   = regexp.MustCompile(`\b((?:assaygate|senaite_astm)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
)

// toldByCards are metrics that a gateway exports only where its card tells
// them, as the machine of the tests may not.
var toldByCards = map[string][]string{"assaygate_card_errors_total": nil, "assaygate_card_life_used_ratio": {"kind"}}

// exported is what a gateway exports: by the names of metrics those of their
// labels, and the values of these that were seen.
type exported map[string]map[string]map[string]bool

func (e exported) add(name string) map[string]map[string]bool {
	if e[name] == nil {
		e[name] = map[string]map[string]bool{}
	}
	return e[name]
}

var description = regexp.MustCompile(`fqName: ("(?:[^"\\]|\\.)*").*variableLabels: \{([^}]*)\}`)

// exports starts a gateway with every kind of line and destination, and asks
// its registry; a metric whose labels have no value yet counts too.
func exports(t *testing.T) exported {
	t.Helper()
	directory := t.TempDir()
	_, port := terminal(t)
	r := start(t, fmt.Sprintf(`box: {name: box}
instruments:
  - {name: serial, serial: {port: %q}}
  - {name: astm, astm: {listen: "127.0.0.1:0"}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
  - {name: emerald, emerald: {listen: "127.0.0.1:0"}}
destinations:
  - {name: lims, senaite: {url: "http://127.0.0.1:1/senaite", username: u, password: p}}
  - {name: captures, capture: {directory: %q}}
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
`, port, filepath.Join(directory, "captures"), filepath.Join(directory, "spool")))
	all := exported{}
	descriptions := make(chan *prometheus.Desc)
	go func() { r.metrics.registry.Describe(descriptions); close(descriptions) }()
	for d := range descriptions {
		found := description.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("a description reads otherwise than it did: %s", d)
		}
		name, err := strconv.Unquote(found[1])
		if err != nil {
			t.Fatal(err)
		}
		labels := all.add(name)
		for label := range strings.SplitSeq(found[2], ",") {
			if label != "" {
				labels[label] = map[string]bool{}
			}
		}
	}
	families, err := r.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		labels := all.add(family.GetName())
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if labels[pair.GetName()] == nil {
					labels[pair.GetName()] = map[string]bool{}
				}
				labels[pair.GetName()][pair.GetValue()] = true
			}
		}
	}
	inSource := literals(t)
	for name, labels := range toldByCards {
		if !inSource[name] {
			continue
		}
		of := all.add(name)
		for _, label := range labels {
			if of[label] == nil {
				of[label] = map[string]bool{}
			}
		}
	}
	return all
}

// literals returns the texts that stand in the program's source.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	read := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, is := n.(*ast.BasicLit); is && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					found[text] = true
				}
			}
			return true
		})
		return nil
	}
	for _, part := range []string{"cmd", "device", "envelope"} {
		if err := filepath.WalkDir(filepath.Join("../..", part), read); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// family is the name that a metric has in the registry.
func (e exported) family(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, found := strings.CutSuffix(name, suffix); found && e[base] != nil {
			return base
		}
	}
	return name
}

// missing returns what a query asks for and no gateway has: metrics, labels, and
// values of labels that are the same on every gateway.
func (e exported) missing(query string) (list []string) {
	for _, name := range metricName.FindAllString(query, -1) {
		if e[e.family(name)] == nil {
			list = append(list, name)
		}
	}
	for _, found := range selector.FindAllStringSubmatch(query, -1) {
		labels := e[e.family(found[1])]
		if labels == nil {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			label, operator, value := m[1], m[2], m[3]
			switch {
			case label == "job" || label == "instance" || label == "le":
			case labels[label] == nil:
				list = append(list, fmt.Sprintf("%s{%s}", found[1], label))
			case operator == "=" && label != "instrument" && label != "destination" && !labels[label][value]:
				list = append(list, fmt.Sprintf("%s{%s=%q}", found[1], label, value))
			}
		}
	}
	return list
}

// A query for a name that nothing exports is empty: its alert never fires, its
// panel shows nothing, and nobody is told.
func TestMonitoringAsksForWhatIsExported(t *testing.T) {
	all := exports(t)
	askedBy := map[string]map[string]bool{}
	asked := 0
	ask := func(who, query string) {
		asked += len(metricName.FindAllString(query, -1))
		for _, name := range all.missing(query) {
			if askedBy[name] == nil {
				askedBy[name] = map[string]bool{}
			}
			askedBy[name][who] = true
		}
	}
	ruleFiles := append(pageExamples(t, "groups:"), readMonitoring(t, "assaygate.rules.yml"))
	for _, text := range ruleFiles {
		for _, group := range readRules(t, text).Groups {
			for _, rule := range group.Rules {
				ask(rule.Alert, rule.Expr)
			}
		}
	}
	d := readDashboard(t)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			ask("panel "+panel.Title, target.Expr)
		}
	}
	for _, variable := range d.Templating.List {
		ask("variable "+variable.Name, string(variable.Query))
	}
	if asked == 0 {
		t.Fatal("nothing is asked")
	}
	for _, name := range slices.Sorted(maps.Keys(askedBy)) {
		t.Errorf("no gateway exports %s, for %s", name, strings.Join(slices.Sorted(maps.Keys(askedBy[name])), ", "))
	}
}

// The manual's table names what is exported, all of it and nothing else.
func TestManualNamesEveryMetric(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(manual), "\n## Endpoints\n")
	if !found {
		t.Fatal("the manual has no section Endpoints")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]bool{}
	all := exports(t)
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			name, labels, _ := strings.Cut(strings.TrimSuffix(code[1], "}"), "{")
			if !metricName.MatchString(name) {
				continue
			}
			named[name] = true
			if all[name] == nil {
				t.Errorf("no gateway exports %s", name)
			} else if have := slices.Sorted(maps.Keys(all[name])); !slices.Equal(have, slices.Sorted(strings.SplitSeq(labels, ","))) && !(len(have) == 0 && labels == "") {
				t.Errorf("%s has the labels %q, not %q", name, have, labels)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !named[name] {
			t.Errorf("the manual does not name %s", name)
		}
	}
}
