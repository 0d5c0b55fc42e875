package senaite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/uplink"
)

const (
	pageSize   = 50  // a whole analysis has 5 to 10 KiB
	mostPages  = 10  // a sample with more analyses is none
	mostLooked = 100 // analyses that are looked up one by one
	mostID     = 255 // bytes; SENAITE's ids are short
)

// samples returns the samples of an id: that of the sample, or else that of the
// client, which several may have (a sample and its partitions do).
func (c *Client) samples(ctx context.Context, id string) ([]item, error) {
	if len(id) > mostID {
		return nil, nil
	}
	for _, by := range []struct {
		index []string
		keys  []string
	}{
		{[]string{"getId", "id"}, []string{"id", "getId"}},
		{[]string{"getClientSampleID"}, []string{"ClientSampleID", "getClientSampleID"}},
	} {
		query := url.Values{"catalog": {"senaite_catalog_sample"}, "portal_type": {"AnalysisRequest"}}
		for _, index := range by.index {
			query.Set(index, id)
		}
		found, err := c.search(ctx, query)
		if err != nil {
			return nil, err
		}
		// SENAITE ignores an index that it does not have, and answers with all.
		found = slices.DeleteFunc(found, func(i item) bool {
			kind := i.text("portal_type")
			other := kind != "" && !strings.EqualFold(kind, "AnalysisRequest")
			return other || !slices.ContainsFunc(by.keys, func(key string) bool { return scalar(i[key]) == id })
		})
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

// analyses returns the analyses of samples and of their partitions.
func (c *Client) analyses(ctx context.Context, samples []item) ([]item, error) {
	var all []item
	seen := make(map[string]bool)
	for _, sample := range samples {
		found, err := c.analysesOf(ctx, sample)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			uid := one.text("uid", "UID")
			if uid == "" || !seen[uid] {
				all = append(all, one)
			}
			seen[uid] = true
		}
	}
	return all, nil
}

// analysesOf asks the catalog of analyses; where that knows none, it looks at
// what the sample itself lists.
func (c *Client) analysesOf(ctx context.Context, sample item) ([]item, error) {
	id, uid := sample.text("id", "getId"), sample.text("uid", "UID")
	for _, by := range []struct{ index, value string }{{"getAncestorsUIDs", uid}, {"getRequestID", id}} {
		if by.value == "" {
			continue
		}
		found, err := c.search(ctx, url.Values{
			"catalog": {"senaite_catalog_analysis"}, "portal_type": {"Analysis"},
			by.index: {by.value}, "complete": {"yes"},
		})
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(i item) bool { return !i.belongs(sample) })
		if len(found) > 0 {
			return found, nil
		}
	}
	return c.listed(ctx, sample, uid)
}

// belongs reports whether an analysis is one of the sample or of its
// partitions, as far as it says: a search that ignored its index answers with
// those of others.
func (i item) belongs(sample item) bool {
	id, uid := sample.text("id", "getId"), sample.text("uid", "UID")
	uids := []string{uid}
	descendants, _ := sample.lookup("getDescendantsUIDs", "DescendantsUIDs")
	if list, ok := descendants.([]any); ok {
		uids = append(uids, scalars(list)...)
	}
	parent, parentUID := i.text("getRequestID", "RequestID", "parent_id"), i.text("parent_uid", "getRequestUID")
	if parent == "" && parentUID == "" {
		return true
	}
	return parentUID != "" && slices.Contains(uids, parentUID) || parent != "" && parent == id ||
		strings.HasPrefix(parent, id+"-P") // a partition's partition
}

// listed returns the analyses that the sample itself names, with the details
// that this list lacks.
func (c *Client) listed(ctx context.Context, sample item, uid string) ([]item, error) {
	list, found := sample.lookup("Analyses", "getAnalyses", "analyses")
	if !found {
		details, err := c.look(ctx, uid)
		if err != nil {
			return nil, err
		}
		list, _ = details.lookup("Analyses", "getAnalyses", "analyses")
	}
	analyses := items(list)
	if len(analyses) > mostLooked {
		return nil, transient(errors.New("search: a sample lists more analyses than can be looked at"))
	}
	for n, one := range analyses {
		if _, shown := one.lookup(resultKeys...); shown {
			continue
		}
		details, err := c.look(ctx, one.text("uid", "UID"))
		if err != nil {
			return nil, err
		}
		if details != nil {
			analyses[n] = details
		}
	}
	return analyses, nil
}

// search returns all items of a search.
func (c *Client) search(ctx context.Context, query url.Values) ([]item, error) {
	query.Set("limit", fmt.Sprint(pageSize))
	var all []item
	next := query.Encode()
	for range mostPages {
		answer, err := c.read(ctx, "search", next)
		if err != nil {
			return nil, err
		}
		list, ok := answer["items"].([]any)
		if !ok {
			return nil, transient(errors.New("search: the answer has no items; check the url"))
		}
		all = append(all, items(list)...)
		// Only the query of the next page's address is used: behind a proxy
		// SENAITE may take itself for another host.
		u, err := url.Parse(scalar(answer["next"]))
		if err != nil || u.RawQuery == "" || len(list) == 0 {
			return all, nil
		}
		next = u.RawQuery
	}
	return nil, transient(errors.New("search: there is more than can be looked through"))
}

// uidForm keeps what an answer calls a UID from leading anywhere else.
var uidForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// look returns one object with its fields; nil where it is not shown.
func (c *Client) look(ctx context.Context, uid string) (item, error) {
	if !uidForm.MatchString(uid) {
		return nil, nil
	}
	answer, err := c.read(ctx, uid, "complete=yes")
	if errors.Is(err, uplink.ErrMayNotRead) {
		return nil, nil // this one, but the search was answered
	}
	if err != nil {
		return nil, err
	}
	if list := items(answer["items"]); len(list) > 0 {
		return list[0], nil
	}
	return answer, nil
}

// read makes one request for reading back.
func (c *Client) read(ctx context.Context, endpoint, query string) (item, error) {
	response, body, err := c.do(ctx, http.MethodGet, endpoint, query)
	if err != nil {
		return nil, passing(err)
	}
	if response.StatusCode != http.StatusOK {
		f := c.status(response, endpoint)
		if f.Kind == uplink.Hold && !errors.Is(f, errProxy) || response.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("%s: %d %s: %w", endpoint, response.StatusCode, http.StatusText(response.StatusCode), uplink.ErrMayNotRead)
		}
		return nil, passing(f)
	}
	if len(body) == maxAnswer {
		return nil, transient(fmt.Errorf("%s: the answer is too long", endpoint))
	}
	answer, err := readAnswer(body)
	if err != nil {
		return nil, transient(fmt.Errorf("%s: %w", endpoint, err))
	}
	return answer, nil
}

// readAnswer reads the JSON of an answer. Numbers keep their digits: they may
// be results.
func readAnswer(body []byte) (item, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var answer item
	if decoder.Decode(&answer) != nil || decoder.More() || answer == nil {
		return nil, errors.New("the answer is not JSON; check the url")
	}
	return answer, nil
}
