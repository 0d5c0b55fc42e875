package console

import (
	"net/http"
	"strconv"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

func (c *Console) trailRoutes() []route {
	return []route{{"GET /audit", Viewer, c.trail}}
}

type trailView struct {
	Rows  []spool.AuditRow
	Older string // address of the next page, or ""
}

// trail lists the audit trail, the newest first.
func (c *Console) trail(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	var before uint64
	if text := r.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 63); err != nil {
			c.fail(w, r, api.BadRequest{Err: err})
			return
		}
	}
	rows, err := store.Trail(r.Context(), before, pageSize+1)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := trailView{Rows: rows}
	if len(rows) > pageSize {
		view.Rows = rows[:pageSize]
		view.Older = "/audit?before=" + strconv.FormatUint(rows[pageSize-1].Number, 10)
	}
	c.render(w, r, http.StatusOK, "audit.html", "Audit", view)
}
