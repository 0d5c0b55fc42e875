package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
)

// configView is the editor.
type configView struct {
	Draft
	File     string
	Defaults bool
	ReadOnly string // why nothing can be changed; "" where it can
	Owned    bool
	Failed   string // why there is no text
	Note     string
	Checked  bool // Problems are all that there are
	Problems []Problem
	Limit    int
}

// Errors and Warnings count what is wrong.
func (v configView) Errors() int { return countOf(v.Problems, SeverityError) }

// Warnings are those that are only hardly meant.
func (v configView) Warnings() int { return countOf(v.Problems, SeverityWarning) }

func countOf(problems []Problem, severity string) (n int) {
	for _, one := range problems {
		if one.Severity == severity {
			n++
		}
	}
	return n
}

func (c *Console) newConfigView() configView {
	view := configView{Limit: draftLimit}
	if c.options.Setup.State != nil {
		state := c.options.Setup.State()
		view.File, view.Defaults, view.ReadOnly, view.Owned = state.File, state.Defaults, state.ReadOnly, state.Owned
	}
	return view
}

// configPage shows the configuration for editing: the file, an earlier one, a draft,
// or the file with what was found at a port.
func (c *Console) configPage(w http.ResponseWriter, r *http.Request) {
	s := c.options.Setup
	if s.Config == nil {
		http.NotFound(w, r)
		return
	}
	view := c.newConfigView()
	query := r.URL.Query()
	if id := query.Get("draft"); id != "" {
		draft, is := c.drafts.of(id, c.who(r).Name, time.Now())
		if !is {
			c.fail(w, r, api.BadRequest{Err: errDraftGone})
			return
		}
		view.Draft = draft
		c.render(w, r, http.StatusOK, "setup_config.html", "Configuration", view)
		return
	}
	view.Earlier, _ = strconv.Atoi(query.Get("earlier")) // none is the file
	shown, err := s.Config(view.Earlier)
	if err != nil {
		view.Failed = err.Error()
	}
	view.Text, view.Of = shown.Text, shown.Of
	if view.Earlier != 0 && err == nil {
		view.Note = "This is earlier configuration " + strconv.Itoa(view.Earlier) + ". Nothing has changed yet: look at what would."
	}
	if port := query.Get("port"); port != "" && s.WithPort != nil && err == nil {
		if view.Text, err = s.WithPort(shown.Text, port); err != nil {
			view.Text, view.Note = shown.Text, err.Error()
		} else {
			view.Note = "What was found at " + port + " stands in the text below. Give the analyser a name, and look at what would change."
		}
	}
	c.render(w, r, http.StatusOK, "setup_config.html", "Configuration", view)
}

// draftOf reads a draft as the editor sends it.
func draftOf(r *http.Request) (Draft, error) {
	draft := Draft{Text: r.PostFormValue("text"), Of: r.PostFormValue("of")}
	draft.Earlier, _ = strconv.Atoi(r.PostFormValue("earlier"))
	if len(draft.Text) > draftLimit {
		return draft, errors.New("this is too long for a configuration")
	}
	return draft, nil
}

// configCheck says what is wrong: to a script as JSON, to a person as the editor.
func (c *Console) configCheck(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.Check == nil {
		http.NotFound(w, r)
		return
	}
	draft, err := draftOf(r)
	problems := []Problem{}
	if err != nil {
		problems = append(problems, Problem{Text: err.Error(), Severity: SeverityError})
	} else {
		problems = append(problems, c.options.Setup.Check(draft)...)
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		api.Answer(w, problems, nil)
		return
	}
	c.renderProblems(w, r, http.StatusOK, draft, problems)
}

func (c *Console) renderProblems(w http.ResponseWriter, r *http.Request, status int, draft Draft, problems []Problem) {
	view := c.newConfigView()
	view.Draft, view.Problems, view.Checked = draft, problems, true
	c.render(w, r, status, "setup_config.html", "Configuration", view)
}

type diffView struct {
	Comparison
	Problems []Problem
	Hunks    [][]DiffLine
	ID       string
	Minutes  int
	Choices  []int
}

// configDiff shows what a draft would change, to be applied from there.
func (c *Console) configDiff(w http.ResponseWriter, r *http.Request) {
	s := c.options.Setup
	if s.Compare == nil || s.Check == nil {
		http.NotFound(w, r)
		return
	}
	draft, err := draftOf(r)
	if err != nil {
		c.fail(w, r, api.BadRequest{Err: err})
		return
	}
	comparison, err := s.Compare(draft)
	if err != nil {
		c.refused(w, r, draft, err)
		return
	}
	view := diffView{
		Comparison: comparison, Problems: s.Check(draft), Hunks: hunks(comparison.Lines),
		ID: c.drafts.keep(draft, c.who(r).Name, time.Now()), Choices: []int{2, 10, 30, 60, 240},
	}
	if s.State != nil {
		view.Minutes = int(s.State().TrialLasts / time.Minute)
	}
	c.render(w, r, http.StatusOK, "setup_diff.html", "What would change", view)
}

// refused shows the draft again with why it is not taken.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, draft Draft, err error) {
	var problems Problems
	if !errors.As(err, &problems) {
		problems = Problems{{Text: err.Error(), Severity: SeverityError}}
	}
	c.renderProblems(w, r, http.StatusConflict, draft, problems)
}

// around is how many lines are shown before and after what differs.
const around = 3

// hunks are the parts of a comparison in which something differs.
func hunks(lines []DiffLine) (parts [][]DiffLine) {
	from, until := 0, -1
	for i, line := range lines {
		if line.Old != 0 && line.New != 0 {
			continue
		}
		if begin := max(0, i-around); until < 0 || begin > until {
			if until >= 0 {
				parts = append(parts, lines[from:until])
			}
			from = begin
		}
		until = min(len(lines), i+1+around)
	}
	if until >= 0 {
		parts = append(parts, lines[from:until])
	}
	return parts
}

// configApply goes over to a draft.
func (c *Console) configApply(w http.ResponseWriter, r *http.Request) {
	s, who := c.options.Setup, c.who(r).Name
	if s.Apply == nil {
		http.NotFound(w, r)
		return
	}
	id := r.PostFormValue("draft")
	draft, is := c.drafts.of(id, who, time.Now())
	if !is {
		c.fail(w, r, api.BadRequest{Err: errDraftGone})
		return
	}
	minutes, err := strconv.Atoi(r.PostFormValue("minutes"))
	if err != nil || minutes < 1 || minutes > 24*60 {
		minutes = 0 // as the box has it
	}
	if err := s.Apply(draft, who, time.Duration(minutes)*time.Minute); err != nil {
		c.refused(w, r, draft, err)
		return
	}
	c.drafts.drop(id)
	http.Redirect(w, r, "/setup", http.StatusSeeOther)
}
