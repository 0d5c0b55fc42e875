package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

var noon = time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)

func offered(version string) candidate {
	r := release.Release{Version: version, Boards: []string{boardName}}
	return candidate{
		source: "https://updates.example.org", checked: noon.Add(-time.Minute),
		Offer: Offer{Release: r, Hash: "hash-of-" + version, Length: 1, Waves: allWaves(version, noon.Add(-48*time.Hour)), Refused: r.Permit(release.Box{Compatible: boardName, Version: "1.0.0"})},
	}
}

func stick(version string) candidate {
	c := offered(version)
	c.Waves, c.NoWaves, c.source, c.local = nil, errors.New("no waves"), "stick", true
	return c
}

// free is a box on which 2.0.0 is ready to be installed, and nothing is in the way.
func free() facts {
	return facts{
		now: noon, clockSet: true, draw: 50, offers: []candidate{offered("2.0.0")}, interval: time.Hour, ready: "hash-of-2.0.0",
		slots:    slots{running: Slot{Name: "A", Good: true, Version: "1.0.0"}, other: Slot{Name: "B", Good: true}},
		verified: judgedGood, seen: map[string]sighting{"hash-of-2.0.0": {First: noon.Add(-10 * time.Hour)}},
	}
}

func window(t *testing.T, text string) Window {
	t.Helper()
	w, err := ParseWindow(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDecide(t *testing.T) {
	t.Parallel()
	trial := &Trial{Phase: installed, Slot: "B", Version: "2.0.0", Hash: "hash-of-2.0.0", From: Slot{Name: "A"}, FirstSeen: noon.Add(-10 * time.Hour)}
	for name, test := range map[string]struct {
		change func(*facts)
		step   step
		offer  string // version
		why    string // a part of it; "" is none at all
	}{
		"free":                    {func(*facts) {}, stepInstall, "2.0.0", ""},
		"nothing offered":         {func(f *facts) { f.offers = nil }, stepNone, "", ""},
		"up to date":              {func(f *facts) { f.offers = []candidate{offered("1.0.0"), offered("0.9.0")} }, stepNone, "", ""},
		"not here yet":            {func(f *facts) { f.ready = "" }, stepDownload, "2.0.0", ""},
		"another one is here":     {func(f *facts) { f.ready = "hash-of-1.5.0" }, stepDownload, "2.0.0", ""},
		"fetched while busy":      {func(f *facts) { f.ready, f.busy = "", Busy{Sessions: 1} }, stepDownload, "2.0.0", ""},
		"fetched outside of time": {func(f *facts) { f.ready, f.window = "", window(t, "22:00-04:00") }, stepDownload, "2.0.0", ""},
		"the highest":             {func(f *facts) { f.offers = append(f.offers, offered("2.1.0")) }, stepDownload, "2.1.0", ""},

		"its own wave is not open": {func(f *facts) { f.offers[0].Waves = allWaves("2.0.0", noon.Add(-time.Hour)) }, stepNone, "2.0.0", "opens on 2031-05-05 11:00"},
		"a canary":                 {func(f *facts) { f.draw, f.offers[0].Waves = 4.9, allWaves("2.0.0", noon.Add(-time.Hour)) }, stepInstall, "2.0.0", ""},
		"a wave that opened after the answer": {func(f *facts) {
			f.offers[0].Waves = allWaves("2.0.0", noon.Add(-release.CanaryTime-time.Second))
		}, stepNone, "2.0.0", "waits for its wave"},
		"no wave has the box": {func(f *facts) { f.offers[0].Waves.Waves = f.offers[0].Waves.Waves[:1] }, stepNone, "2.0.0", "no wave"},
		"no wave file":        {func(f *facts) { f.offers[0].Waves = nil }, stepNone, "2.0.0", "nobody has said"},
		"no wave file, and why": {func(f *facts) {
			f.offers[0].Waves, f.offers[0].NoWaves = nil, errors.New("signed by a stranger")
		}, stepNone, "2.0.0", "signed by a stranger"},
		"paused":             {func(f *facts) { f.offers[0].Waves.Paused = "5 boxes fell back" }, stepNone, "2.0.0", "paused by whoever runs the fleet: 5 boxes fell back"},
		"an old answer":      {func(f *facts) { f.offers[0].checked = noon.Add(-3 * time.Hour) }, stepNone, "2.0.0", "has not answered"},
		"a lower one may be": {func(f *facts) { f.offers = append(f.offers, offered("2.1.0")); f.offers[1].Waves.Paused = "x" }, stepInstall, "2.0.0", ""},
		"another board":      {func(f *facts) { f.offers[0].Refused = errors.New("made for another board") }, stepNone, "2.0.0", "another board"},
		"refused, and remembered": {func(f *facts) {
			f.refused = map[string]Refusal{"hash-of-2.0.0": {Reason: "the store did not open", At: noon}}
		}, stepNone, "2.0.0", "on 2031-05-04: the store did not open. This box takes only a higher version: ask who makes the releases"},
		"refused, another bundle": {func(f *facts) { f.refused = map[string]Refusal{"hash-of-3.0.0": {Reason: "x"}} }, stepInstall, "2.0.0", ""},
		"resting": {func(f *facts) {
			f.failing = map[string]failure{"hash-of-2.0.0": {until: noon.Add(time.Minute), why: "x"}}
		}, stepNone, "2.0.0", "tries again at 12:01:00"},
		"rested": {func(f *facts) { f.failing = map[string]failure{"hash-of-2.0.0": {until: noon, why: "x"}} }, stepInstall, "2.0.0", ""},

		"a stick needs no wave":      {func(f *facts) { f.offers = []candidate{stick("2.0.0")} }, stepInstall, "2.0.0", ""},
		"a stick beside the network": {func(f *facts) { f.offers = append(f.offers, stick("2.0.0")); f.offers[0].Waves.Paused = "x" }, stepInstall, "2.0.0", ""},
		"a stick without a clock":    {func(f *facts) { f.offers, f.clockSet = []candidate{stick("2.0.0")}, false }, stepInstall, "2.0.0", ""},
		"a stick, refused before": {func(f *facts) {
			f.offers = []candidate{stick("2.0.0")}
			f.refused = map[string]Refusal{"hash-of-2.0.0": {}}
		}, stepNone, "2.0.0", "not installed again"},
		"a stick in the daytime": {func(f *facts) { f.offers, f.window = []candidate{stick("2.0.0")}, window(t, "22:00-04:00") }, stepNone, "2.0.0", "leave the stick in"},
		"the same without a clock": {func(f *facts) {
			f.offers, f.window, f.clockSet = []candidate{stick("2.0.0")}, window(t, "22:00-04:00"), false
		}, stepInstall, "2.0.0", ""},
		"the network without a clock": {func(f *facts) { f.clockSet = false }, stepNone, "2.0.0", "clock of this box is not set"},

		"a session":        {func(f *facts) { f.busy.Sessions = 2 }, stepNone, "2.0.0", "open now: 2"},
		"a commit":         {func(f *facts) { f.busy.Commits = 1 }, stepNone, "2.0.0", "on the card"},
		"outside of time":  {func(f *facts) { f.window = window(t, "22:00-04:00") }, stepNone, "2.0.0", "22:00-04:00"},
		"inside of time":   {func(f *facts) { f.window = window(t, "11:00-12:01") }, stepInstall, "2.0.0", ""},
		"not forced yet":   {func(f *facts) { f.forceAfter, f.busy.Sessions = 10*time.Hour+1, 1 }, stepNone, "2.0.0", "open now"},
		"forced, sessions": {func(f *facts) { f.forceAfter, f.busy.Sessions = 10*time.Hour, 1 }, stepInstall, "2.0.0", ""},
		"forced, window":   {func(f *facts) { f.forceAfter, f.window = 10*time.Hour, window(t, "22:00-04:00") }, stepInstall, "2.0.0", ""},
		"forced, commits":  {func(f *facts) { f.forceAfter, f.busy.Commits = 10*time.Hour, 1 }, stepNone, "2.0.0", "only until"},
		"forced, commits for long": {func(f *facts) {
			f.forceAfter, f.busy.Commits, f.forcing = 10*time.Hour, 1, noon.Add(-forcedGrace)
		}, stepInstall, "2.0.0", ""},
		"forced does not open a wave": {func(f *facts) { f.forceAfter, f.offers[0].Waves.Paused = time.Hour, "x" }, stepNone, "2.0.0", "paused"},
		"no force without a clock": {func(f *facts) {
			f.offers, f.clockSet, f.forceAfter, f.busy.Sessions = []candidate{stick("2.0.0")}, false, time.Hour, 1
		}, stepNone, "2.0.0", "open now"},

		"RAUC is away":                 {func(f *facts) { f.slots.err = errors.New("no bus") }, stepNone, "2.0.0", "no bus"},
		"not proven":                   {func(f *facts) { f.verified, f.age = unjudged, time.Minute }, stepNone, "2.0.0", "has not proven itself"},
		"nobody judges":                {func(f *facts) { f.verified, f.age = unjudged, time.Hour }, stepInstall, "2.0.0", ""},
		"bad, with a way back":         {func(f *facts) { f.verified, f.age = judgedBad, time.Hour }, stepNone, "2.0.0", "the way back"},
		"bad, and an update may mend":  {func(f *facts) { f.verified, f.slots.other.Good = judgedBad, false }, stepInstall, "2.0.0", ""},
		"after a cut, no other system": {func(f *facts) { f.slots.other.Good = false }, stepInstall, "2.0.0", ""},

		"on trial":                    {func(f *facts) { f.trial, f.state = trial, onTrial }, stepNone, "2.0.0", "on trial"},
		"on trial, and another":       {func(f *facts) { f.trial, f.state = trial, onTrial; f.offers = append(f.offers, stick("3.0.0")) }, stepNone, "2.0.0", "on trial"},
		"on trial, and nobody judges": {func(f *facts) { f.trial, f.state, f.age, f.verified = trial, onTrial, time.Hour, unjudged }, stepNone, "2.0.0", "on trial, and nobody has judged it"},
		"the same, and another": {func(f *facts) {
			f.trial, f.state, f.age, f.verified = trial, onTrial, time.Hour, unjudged
			f.offers = append(f.offers, stick("3.0.0"))
		}, stepDownload, "3.0.0", ""},
		"the same, and another too soon": {func(f *facts) {
			f.trial, f.state, f.age, f.verified = trial, onTrial, judgeWithin-time.Second, unjudged
			f.offers = append(f.offers, stick("3.0.0"))
		}, stepNone, "2.0.0", "on trial"},
		"a trial that failed, late, and another": {func(f *facts) {
			f.trial, f.state, f.age, f.verified, f.why = trial, onTrial, time.Hour, judgedBad, "no store"
			f.offers = append(f.offers, stick("3.0.0"))
		}, stepNone, "2.0.0", "has failed its trial"},
		"a trial that failed":      {func(f *facts) { f.trial, f.state, f.why = trial, onTrial, "no store" }, stepNone, "2.0.0", "has failed its trial, and the box goes back if it can: no store"},
		"to be started":            {func(f *facts) { f.trial, f.state = trial, toRestart }, stepRestart, "2.0.0", ""},
		"to be started, a session": {func(f *facts) { f.trial, f.state, f.busy.Sessions = trial, toRestart, 1 }, stepNone, "2.0.0", "starts when the box does"},
		"to be started, forced": {func(f *facts) {
			f.trial, f.state, f.busy.Sessions, f.forceAfter = trial, toRestart, 1, time.Hour
		}, stepRestart, "2.0.0", ""},
		"to be started, late":              {func(f *facts) { f.trial, f.state, f.window = trial, toRestart, window(t, "22:00-04:00") }, stepRestart, "2.0.0", ""},
		"an installation that was cut off": {func(f *facts) { f.trial, f.state = trial, interrupted }, stepInstall, "2.0.0", ""},

		"to be started, paused": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused = trial, toRestart, "5 boxes fell back"
		}, stepSetAside, "2.0.0", "version 2.0.0 is installed, and is not started: paused by whoever runs the fleet: 5 boxes fell back" + startsAllTheSame},
		"the same, forced": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused, f.forceAfter = trial, toRestart, "x", time.Hour
		}, stepSetAside, "2.0.0", "paused"},
		"the same, a session": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused, f.busy.Sessions = trial, toRestart, "x", 1
		}, stepSetAside, "2.0.0", "paused"},
		"the same, set aside": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused, f.aside = trial, toRestart, "x", true
		}, stepNone, "2.0.0", "is not started: paused"},
		"the same, and a stick brings it": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused = trial, toRestart, "x"
			f.offers = append(f.offers, stick("2.0.0"))
		}, stepRestart, "2.0.0", ""},
		"the same, and the next release": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused, f.aside = trial, toRestart, "x", true
			f.offers = append(f.offers, offered("2.0.1"))
		}, stepDownload, "2.0.1", ""},
		"the next release before it is set aside": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves.Paused = trial, toRestart, "x"
			f.offers = append(f.offers, offered("2.0.1"))
		}, stepSetAside, "2.0.0", "paused"},
		"to be started, withdrawn": {func(f *facts) {
			f.trial, f.state, f.answered, f.offers = trial, toRestart, true, []candidate{offered("1.0.0")}
		}, stepSetAside, "2.0.0", "no repository offers it any more"},
		"to be started, before the first answer": {func(f *facts) { f.trial, f.state, f.offers = trial, toRestart, nil }, stepSetAside, "2.0.0", "has not answered yet"},
		"to be started, an old answer":           {func(f *facts) { f.trial, f.state, f.offers[0].checked = trial, toRestart, noon.Add(-3*time.Hour) }, stepSetAside, "2.0.0", "has not answered for too long"},
		"to be started, waves anew": {func(f *facts) {
			f.trial, f.state, f.offers[0].Waves = trial, toRestart, allWaves("2.0.0", noon.Add(-time.Hour))
		}, stepSetAside, "2.0.0", "waits for its wave"},
		"to be started, not for this box any more": {func(f *facts) {
			f.trial, f.state, f.offers[0].Refused = trial, toRestart, errors.New("made for another board")
		}, stepSetAside, "2.0.0", "another board"},
		"to be started, and a stick that is refused": {func(f *facts) {
			f.trial, f.state, f.offers = trial, toRestart, []candidate{stick("2.0.0")}
			f.offers[0].Refused = errors.New("made for another board")
		}, stepSetAside, "2.0.0", "another board"},
		"to be started, from a stick that is gone": {func(f *facts) {
			byHand := *trial
			byHand.Local = true
			f.trial, f.state, f.offers, f.answered = &byHand, toRestart, nil, true
		}, stepRestart, "2.0.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := free()
			test.change(&f)
			d := f.decide()
			if d.step != test.step || d.offer.version() != test.offer {
				t.Errorf("step %d of %q, want %d of %q", d.step, d.offer.version(), test.step, test.offer)
			}
			if !strings.Contains(d.why, test.why) || (d.why == "") != (test.why == "") {
				t.Errorf("it says %q, want %q", d.why, test.why)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for text, at := range map[string]map[string]bool{
		"":            {"00:00": true, "12:00": true, "23:59": true},
		"02:00-04:30": {"01:59": false, "02:00": true, "04:29": true, "04:30": false, "14:00": false},
		"22:00-04:30": {"21:59": false, "22:00": true, "23:59": true, "00:00": true, "04:29": true, "04:30": false},
		"22:00-00:00": {"21:59": false, "23:59": true, "00:00": false},
	} {
		w := window(t, text)
		for clock, open := range at {
			when, _ := time.Parse("15:04", clock)
			if w.Open(when) != open {
				t.Errorf("%q at %s: open is not %v", text, clock, open)
			}
		}
	}
	for _, text := range []string{"22:00", "22:00-", "-04:00", "25:00-04:00", "02:00-02:00", "2-4", "02:00-04:00-06:00"} {
		if _, err := ParseWindow(text); err == nil {
			t.Errorf("%q is a window", text)
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add("22:00-04:30")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWindow(text)
		if err == nil && !w.Always() && w.Open(noon) == w.Open(noon.Add(12*time.Hour)) && w.from != w.to {
			return // both are possible; it must only not fail
		}
		if (Settings{Window: text}).Validate() == nil != (err == nil) {
			t.Errorf("%q is judged in two ways", text)
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, good := range []Settings{{}, {Interval: time.Hour, Window: "22:00-04:00", ForceAfter: 24 * time.Hour}} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	for key, bad := range map[string]Settings{"interval": {Interval: time.Second}, "force_after": {ForceAfter: time.Minute}, "window": {Window: "night"}} {
		if err := bad.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	trial := Trial{Phase: installed, Slot: "B", Version: "2.0.0", Hash: "x", From: Slot{Name: "A"}, Boot: "1"}
	begun := trial
	begun.Phase = installing
	aside := trial
	aside.Aside = true
	good, bad := &Verdict{Slot: "B", Version: "v2.0.0", Good: true}, &Verdict{Slot: "B", Version: "2.0.0", Reason: "the store did not open"}
	for name, test := range map[string]struct {
		trial   Trial
		now     running
		verdict *Verdict
		state   state
		why     string
	}{
		"before the restart":                {trial, running{"A", "1.0.0", "1"}, nil, toRestart, ""},
		"the new one runs":                  {trial, running{"B", "2.0.0", "2"}, nil, onTrial, ""},
		"and is not healthy":                {trial, running{"B", "2.0.0", "2"}, bad, onTrial, "the store did not open"},
		"and is good":                       {trial, running{"B", "2.0.0", "2"}, good, proven, ""},
		"a verdict on another version":      {trial, running{"B", "2.0.0", "2"}, &Verdict{Slot: "B", Version: "1.9.0", Good: true}, onTrial, ""},
		"fell back":                         {trial, running{"A", "1.0.0", "3"}, bad, fellBack, "the store did not open"},
		"fell back without a word":          {trial, running{"A", "1.0.0", "3"}, nil, fellBack, "gave no verdict"},
		"fell back after it was good":       {trial, running{"A", "1.0.0", "3"}, good, fellBack, "good at first"},
		"not what it says":                  {trial, running{"B", "2.1.0", "2"}, nil, mislabelled, "mixed them up"},
		"cut off, the agent":                {begun, running{"A", "1.0.0", "1"}, nil, interrupted, ""},
		"cut off, the power":                {begun, running{"A", "1.0.0", "2"}, nil, interrupted, ""},
		"cut off after RAUC was through":    {begun, running{"B", "2.0.0", "2"}, nil, onTrial, ""},
		"the same, and good":                {begun, running{"B", "2.0.0", "2"}, good, proven, ""},
		"the same, and fell back":           {begun, running{"A", "1.0.0", "5"}, bad, fellBack, "the store did not open"},
		"cut off, and another by hand":      {begun, running{"B", "7.0.0", "2"}, nil, interrupted, ""},
		"set aside, and started anew":       {aside, running{"A", "1.0.0", "3"}, nil, toRestart, ""},
		"set aside, and tried all the same": {aside, running{"B", "2.0.0", "3"}, nil, onTrial, ""},
		"the same, and it fell back":        {aside, running{"A", "1.0.0", "5"}, bad, fellBack, "the store did not open"},
		"it cannot be another's good word":  {trial, running{"A", "1.0.0", "3"}, &Verdict{Slot: "A", Version: "1.0.0", Good: true}, fellBack, "gave no verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, why := test.trial.judge(test.now, test.verdict)
			if state != test.state || !strings.Contains(why, test.why) || (why == "") != (test.why == "") {
				t.Errorf("it is %d, %q, want %d, %q", state, why, test.state, test.why)
			}
		})
	}
}
