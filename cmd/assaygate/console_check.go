package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
)

// checkDraft finds what is wrong with a draft, or what is hardly meant.
func (d *daemon) checkDraft(from console.Draft) []console.Problem {
	made, err := d.draft(from)
	problems := problemsOf(err, console.SeverityError, made.secrets)
	if err != nil {
		return problems
	}
	for _, one := range d.warningsOf(made.to) {
		problems = append(problems, problemsOf(one, console.SeverityWarning, made.secrets)...)
	}
	slices.SortStableFunc(problems, func(a, b console.Problem) int { return a.Line - b.Line })
	return problems
}

// problemsOf are errors for a page, without anything that must not be seen.
func problemsOf(err error, severity string, secrets map[string]bool) []console.Problem {
	var errs config.Errors
	var one config.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errs):
	case errors.As(err, &one):
		errs = config.Errors{one}
	default:
		errs = config.Errors{{Text: err.Error()}}
	}
	list := make([]console.Problem, 0, len(errs))
	for _, one := range errs {
		text := config.Error{Text: redact(one.Text, secrets)}.Error() // without control characters
		if strings.HasPrefix(one.Source, "--") {
			text = one.Source + ": " + text
		}
		list = append(list, console.Problem{Line: one.Line, Column: one.Column, Key: one.Key, Text: text, Severity: severity})
	}
	return list
}

// warningsOf are what of a right configuration is hardly meant, or not done here.
func (d *daemon) warningsOf(to Config) []config.Error {
	list := to.warnings()
	if profiles, err := to.usableProfiles(); err == nil {
		list = append(list, to.droppedReadings(profiles)...)
	}
	for _, part := range to.inactive() {
		list = append(list, to.document.At(part.Where, "%s: %s", part.state(), part.What))
	}
	return list
}

// compareDraft tells what a draft would change.
func (d *daemon) compareDraft(from console.Draft) (console.Comparison, error) {
	made, err := d.draft(from)
	if err != nil {
		return console.Comparison{}, d.seen(err, made)
	}
	// What was typed anew is told from what was kept, but not shown either.
	kept, all := secretsInText(made.base), d.changes.secretsOfAll(made.base)
	maps.Copy(all, made.secrets)
	mask := configMask(all)
	mask.Value = func(key, value string) string {
		shown := maskedValue(key, value)
		if shown != value && !kept[value] {
			shown = strings.Replace(shown, config.Kept, "(new)", 1)
		}
		return shown
	}
	old, err := config.Hide(made.base, configMask(all))
	if err != nil {
		return console.Comparison{}, d.seen(err, made)
	}
	to, err := config.Hide(made.data, mask)
	if err != nil {
		return console.Comparison{}, d.seen(err, made)
	}
	lines := config.Compare(old.Text, to.Text)
	comparison := console.Comparison{
		Lines: make([]console.DiffLine, 0, len(lines)), Effects: d.effects(made.to),
		Keeping: d.needsKeeping(change{remote: true, trial: defaultTrial}, made.to), Same: string(made.base) == string(made.data),
	}
	for _, one := range lines {
		comparison.Lines = append(comparison.Lines, console.DiffLine(one))
	}
	return comparison, nil
}

// seen is an error that may be shown.
func (d *daemon) seen(err error, made drafted) error {
	problems := problemsOf(err, console.SeverityError, made.secrets)
	return console.Problems(problems)
}
