package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The contract's tables of fields: "#### instrument", then a row a field:
// | O | 5 | `test` | component object {1:`_` NotUsed (always null), ...} |
var (
	contractSection = regexp.MustCompile(`(?m)^#### (\w+)$`)
	contractRow     = regexp.MustCompile("(?m)^\\| ([A-Z]) \\| (\\d+) \\| `([^`]+)` \\| (.*) \\|$")
	contractPart    = regexp.MustCompile("\\d+:`([^`]+)` ?((?:[^,({]|\\([^)]*\\))*)")
	contractDefault = regexp.MustCompile(` default='([^']*)'`)
)

// TestDefinitionsFollowTheContract compares every field of every definition with
// the contract's tables: its name, what it is taken apart into, its type, its
// default and its constant.
func TestDefinitionsFollowTheContract(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(peers, "senaite-contract.md"))
	if err != nil {
		t.Skipf("the contract's tables are not here (%v): definitions not compared with them", err)
	}
	set := load(t, Options{})
	rows := 0
	sections := contractSection.FindAllSubmatchIndex(text, -1)
	for i, s := range sections {
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		name := string(text[s[2]:s[3]])
		p := set.profiles[name]
		if p == nil {
			t.Errorf("there is no profile %s", name)
			continue
		}
		for _, row := range contractRow.FindAllStringSubmatch(string(text[s[0]:end]), -1) {
			rows++
			n, _ := strconv.Atoi(row[2])
			if row[1] == "H" && n == 2 {
				continue // the delimiters are shown as they are for every instrument
			}
			var f *field
			if fields := p.fields[row[1]]; n < len(fields) {
				f = fields[n]
			}
			if f == nil || f.name != row[3] {
				t.Errorf("%s: %s.%d is not %s", name, row[1], n, row[3])
				continue
			}
			if wrong := differs(f, row[4]); wrong != "" {
				t.Errorf("%s: %s.%d (%s): %s", name, row[1], n, row[4], wrong)
			}
		}
	}
	if rows < 100 {
		t.Errorf("only %d rows were read: the tables look otherwise than they did", rows)
	}
}

// differs tells how a field is not what the contract's type says, or "".
func differs(f *field, want string) string {
	kind, inner, _ := strings.Cut(want, "{")
	parts := f.components
	switch {
	case strings.HasPrefix(kind, "REPEATED"):
		parts = f.repeats
		fallthrough
	case strings.HasPrefix(kind, "component"):
		wanted := contractPart.FindAllStringSubmatch(strings.TrimSuffix(inner, "}"), -1)
		if len(parts) < len(wanted) { // more of them are more than senaite.astm reads
			return fmt.Sprintf("has %d components", len(parts))
		}
		for i, w := range wanted {
			if parts[i].name != w[1] {
				return fmt.Sprintf("component %d is called %s", i+1, parts[i].name)
			}
			if wrong := differs(parts[i], strings.TrimSpace(w[2])); wrong != "" {
				return w[1] + ": " + wrong
			}
		}
		return ""
	}
	if f.components != nil || f.repeats != nil {
		return "is taken apart"
	}
	return differsAlone(f, want)
}

func differsAlone(f *field, want string) string {
	preset := ""
	if d := contractDefault.FindStringSubmatch(want); d != nil {
		preset = d[1]
		if !f.preset || f.value != preset {
			return "default is " + f.value
		}
	}
	if constant, found := strings.CutPrefix(want, "CONSTANT "); found {
		if constant = strings.Trim(constant, "'"); !f.preset || f.value != constant {
			return "constant is " + f.value
		}
		return ""
	}
	if list, found := strings.CutPrefix(want, "set("); found {
		list, _, _ = strings.Cut(list, ")")
		if got := slices.Sorted(slices.Values(f.allowed)); !slices.Equal(got, slices.Sorted(slices.Values(strings.Split(list, ",")))) {
			return fmt.Sprintf("allowed are %v", got)
		}
	}
	kind := map[string]fieldType{"date": typeDate, "datetime": typeTime, "int->str": typeNumber, "JSON-list": typeJSONList, "passthrough": typePassthrough, "encoded": typeStream}
	word, _, _ := strings.Cut(want, " ")
	if k := kind[word]; k != "" && f.kind != k {
		return "is of type " + string(f.kind)
	}
	return ""
}
