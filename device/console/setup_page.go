package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
)

func (c *Console) setupRoutes() []route {
	return []route{
		{"GET /setup", Admin, c.setupPage},
		{"POST /setup/keep", Admin, c.setupEnd(func(s Setup) func(string) error { return s.Keep })},
		{"POST /setup/back", Admin, c.setupEnd(func(s Setup) func(string) error { return s.TakeBack })},
		{"GET /setup/config", Admin, c.configPage},
		{"POST /setup/check", Admin, c.configCheck},
		{"POST /setup/diff", Admin, c.configDiff},
		{"POST /setup/apply", Admin, c.configApply},
		{"GET /setup/earlier", Admin, c.earlierPage},
		{"GET /setup/ports", Admin, c.portsPage},
		{"GET /setup/ports/probe", Admin, c.probePage},
		{"POST /setup/ports/probe", Admin, c.probeBegin},
		{"POST /setup/ports/stop", Admin, c.probeStop},
	}
}

type setupView struct {
	SetupState
	Has          bool // there is something to set up
	CanProbe     bool
	HasEarlier   bool
	JustApplied  bool
	LeftInWords  string
	TrialInWords string
}

func (c *Console) setupPage(w http.ResponseWriter, r *http.Request) {
	s := c.options.Setup
	view := setupView{Has: s.State != nil, CanProbe: s.Ports != nil, HasEarlier: s.Earlier != nil}
	if s.State != nil {
		view.SetupState = s.State()
		view.LeftInWords = view.Left.Round(time.Second).String()
	}
	c.render(w, r, http.StatusOK, "setup.html", "Setup", view)
}

// setupEnd ends a trial in one of its ways.
func (c *Console) setupEnd(way func(Setup) func(who string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		end := way(c.options.Setup)
		if end == nil {
			http.NotFound(w, r)
			return
		}
		if err := end(c.who(r).Name); err != nil {
			c.fail(w, r, api.BadRequest{Err: err})
			return
		}
		http.Redirect(w, r, "/setup", http.StatusSeeOther)
	}
}

type earlierView struct {
	List []EarlierConfig
}

// earlierPage lists the configurations that the box has had.
func (c *Console) earlierPage(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.Earlier == nil {
		http.NotFound(w, r)
		return
	}
	list, err := c.options.Setup.Earlier()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "setup_earlier.html", "Earlier configurations", earlierView{list})
}

var errDraftGone = errors.New("this draft is not there any more: it was applied, or is older than an hour; begin again from what the configuration is now")
