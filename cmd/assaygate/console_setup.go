package main

import (
	"context"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

// consoleSetup is what the console's pages of that name show and do.
func (d *daemon) consoleSetup() console.Setup {
	return console.Setup{
		State: d.setupState, Config: d.shownConfig, Check: d.checkDraft, Compare: d.compareDraft, Apply: d.applyDraft,
		Keep: d.keepFromConsole, TakeBack: d.takeBackFromConsole, Earlier: d.earlierConfigs,
		Ports: d.setupPorts, Probe: d.beginProbe, StopProbe: d.endProbe, Probing: d.probing, WithPort: d.withPort,
	}
}

// setupState is how the configuration stands.
func (d *daemon) setupState() console.SetupState {
	standing := d.standingConfig()
	state := console.SetupState{
		File: standing.Path, Defaults: standing.Factory || standing.Path == "", By: standing.By, Since: standing.Since,
		Owned: d.owned(), OnTrial: standing.OnTrial, Left: standing.Left, NeedsKeeping: standing.NeedsKeeping,
		TrialLasts: d.trialLasts(), Missing: standing.Missing,
	}
	secrets := map[string]bool{}
	if text, err := d.changes.text(); err == nil {
		secrets = secretsInText(text)
	}
	state.Refused = redact(standing.Refused, secrets)
	if d.changes.journal == nil {
		state.ReadOnly = errNoFile.Error()
	}
	if t := d.changes.onTrial(); t != nil {
		state.TrialBy = t.by
	}
	if back := standing.TakenBack; back != nil {
		state.TakenBack, state.TakenAt, state.TakenBy = redact(back.Why, secrets), back.At, back.By
	}
	d.errands.mu.Lock()
	failed := d.errands.failed
	state.Applying = d.errands.applies
	d.errands.mu.Unlock()
	for _, one := range problemsOf(failed.err, console.SeverityError, failed.secrets) {
		state.Failed = append(state.Failed, one.String())
	}
	return state
}

// keepFromConsole ends the trial for a person.
func (d *daemon) keepFromConsole(who string) error {
	t := d.changes.onTrial()
	if err := d.keepNow(byConsole(who)); err != nil {
		return err
	}
	detail := ""
	if t != nil {
		detail = "brought by " + t.by
	}
	d.noteAct(context.Background(), spool.ConfigKept, who, detail)
	return nil
}

// takeBackFromConsole takes the change on trial back for a person. It is an errand:
// the console of before may be another one.
func (d *daemon) takeBackFromConsole(who string) error {
	if d.changes.onTrial() == nil {
		return errNoTrial
	}
	done := make(chan error, 1)
	err := d.errands.begin(nil, func(ctx context.Context) {
		err := d.takeBackNow(ctx, byConsole(who))
		if err == nil {
			d.noteAct(ctx, spool.ConfigReturned, who, "")
		}
		done <- err
	})
	if err != nil {
		return err
	}
	select {
	case err = <-done:
		return err
	case <-time.After(patienceToApply):
		return nil
	}
}

// earlierConfigs lists the configurations that the box has had.
func (d *daemon) earlierConfigs() ([]console.EarlierConfig, error) {
	if d.changes.path == "" {
		return nil, nil
	}
	history, err := readHistory(historyBeside(d.changes.path))
	if err != nil {
		return nil, err
	}
	now, err := d.changes.text()
	if err != nil {
		now = nil // what cannot be read is none of them
	}
	list := make([]console.EarlierConfig, 0, len(history))
	for i, one := range history {
		shown := console.EarlierConfig{
			Number: one.Number, By: one.By, Size: len(one.Text), Damaged: one.Text == nil,
			Running: i == 0 && one.Text != nil && string(one.Text) == string(now),
		}
		if one.ClockSet {
			shown.At = one.At
		}
		list = append(list, shown)
	}
	return list, nil
}
