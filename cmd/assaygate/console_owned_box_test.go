//go:build unix

package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/owner"
)

// The console of a box with an owner refuses what is the owner's, with its line, in
// the check and when a change is made, also where it comes past the pages.
func TestTheConsoleOfAnOwnedBox(t *testing.T) {
	t.Parallel()
	key, err := owner.NewKey(filepath.Join(t.TempDir(), "owner.key"))
	must(t, err)
	v, path := startSetup(t, func(directory, address, consoleAddress string) string {
		return setupConfig(directory, address, consoleAddress) + "owner: {public_key: \"" + owner.FormatKey(publicOf(key)) + "\"}\r\n"
	})
	before := held(t, path)
	if body := v.page("/setup"); !strings.Contains(body, "This box has an owner") {
		t.Errorf("nobody says it: %s", body)
	}
	for name, test := range map[string]struct {
		change []string
		want   string
	}{
		"another server": {[]string{"127.0.0.1:1/", "127.0.0.1:9/", `password: "(kept)"`, "password: typed", `, proxy: "http://me:(kept)@127.0.0.1:2/"`, ""}, "results cannot be sent to another server"},
		"one more":       {[]string{"  - name: other", "  - {name: evil, senaite: {url: 'http://127.0.0.1:9/'}}\n  - name: other"}, "results cannot be sent to another server"},
		"no owner":       {[]string{"\nowner: ", "\n# owner: "}, "the owner cannot be changed, set or left out"},
		"a stick":        {[]string{"version: 1", "version: 1\nconfig_drive: {directory: /run/stick}"}, "whether the box reads sticks"},
		"profiles":       {[]string{"version: 1", "version: 1\nprofiles: /etc"}, "no other directory can be named"},
		"captures":       {[]string{"  - name: other", "  - {name: files, capture: {directory: '" + filepath.Dir(path) + "'}}\n  - name: other"}, "what lies there can be read"},
		"updates":        {[]string{"version: 1", "version: 1\nupdate: {repository: 'https://evil.example.org'}"}, "where updates come from"},
	} {
		form := v.edited("/setup/config", test.change...)
		problems := v.problems(form)
		if len(problems) == 0 || problems[0].Line == 0 || !strings.Contains(fmt.Sprint(problems), test.want) {
			t.Errorf("%s: %v", name, problems)
		}
		if status, body := v.applies(form); status != http.StatusConflict || !strings.Contains(body, test.want) {
			t.Errorf("%s is applied: %d %s", name, status, body)
		}
	}
	evil := []byte(strings.ReplaceAll(before, "127.0.0.1:1/", "127.0.0.1:9/"))
	var errs config.Errors
	err = v.r.adopt(t.Context(), change{config: evil, by: "console", may: v.r.mayFromConsole, trial: time.Minute})
	if !errors.As(err, &errs) || errs[0].Line == 0 || held(t, path) != before {
		t.Errorf("past the pages: %v", err)
	}
	if status, body := v.applies(v.edited("/setup/config", "name: one", "name: two", "127.0.0.1:1/senaite", "127.0.0.1:1/other")); status != http.StatusSeeOther {
		t.Errorf("what is not the owner's: %d %s", status, body)
	}
}
