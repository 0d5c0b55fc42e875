package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/assaygate/assaygate/envelope/spool"
)

func (c *controlAPI) sealed(w http.ResponseWriter, r *http.Request) {
	list, err := c.store.Sealed(r.Context())
	Answer(w, list, err)
}

func (c *controlAPI) eraseSealed(w http.ResponseWriter, r *http.Request) {
	var body dropRequest
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		err = BadRequest{fmt.Errorf("%q is not the number of a sealed store", r.PathValue("id"))}
	} else {
		err = ReadBody(w, r, &body)
	}
	if err == nil {
		err = c.store.EraseSealed(r.Context(), id, c.by(r), body.Reason)
	}
	Answer(w, struct{}{}, err)
}

// Sealed returns the stores that factory resets have set aside.
func (c *Client) Sealed(ctx context.Context) ([]spool.Sealed, error) {
	var list []spool.Sealed
	err := c.ask(ctx, http.MethodGet, "/v1/sealed", nil, &list)
	return list, err
}

// EraseSealed removes one of them for good. The reason is required.
func (c *Client) EraseSealed(ctx context.Context, id int, reason string) error {
	return c.ask(ctx, http.MethodPost, "/v1/sealed/"+strconv.Itoa(id)+"/erase", dropRequest{reason}, nil)
}
