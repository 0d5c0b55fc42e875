package agent

import "time"

// Outcome is what became of the last update, as it stands in outcome.json of the
// agent's directory. It is written when all is over, never before the new system was
// judged, and stays until the next one.
//
//	{
//	  "format": 1,
//	  "result": "installed",        // the new system runs and is good
//	            "fell-back",        // it was tried, and the box went back to the old one, at once or later
//	            "refused",          // RAUC did not take the bundle; nothing was changed
//	            "failed",           // it could not be installed, is not what it was signed as, or was judged by nobody
//	  "version": "1.5.0",           // the release that this is about
//	  "hash": "…",                  // SHA-256 of its bundle
//	  "source": "https://…",        // whence it came; "stick" for a stick
//	  "from": "1.4.2",              // what ran before
//	  "running": {"slot": "B", "version": "1.5.0"},
//	  "reason": "",                 // why it was not installed, in words for people
//	  "begun": "…", "at": "…",      // when the installation began, when all was over (RFC 3339, the box's clock)
//	  "clock": "set",               // or unset: the times are then worth nothing
//	  "attempts": 1                 // installations that were begun
//	}
type Outcome struct {
	Format   int       `json:"format"`
	Result   Result    `json:"result"`
	Version  string    `json:"version"`
	Hash     string    `json:"hash"`
	Source   string    `json:"source"`
	From     string    `json:"from"`
	Running  Runs      `json:"running"`
	Reason   string    `json:"reason"`
	Begun    time.Time `json:"begun"`
	At       time.Time `json:"at"`
	Clock    string    `json:"clock"`
	Attempts int       `json:"attempts"`
}

// Runs is the system that runs.
type Runs struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
}

// Result is how an update has ended.
type Result string

// The results. Who reads the file takes a word that is none of these for a failure.
const (
	Installed Result = "installed"
	FellBack  Result = "fell-back"
	Refused   Result = "refused"
	Failed    Result = "failed"
)

// OutcomeFormat is the format that this program writes, and knows.
const OutcomeFormat = 1
