package senaitetest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The catalogs that senaite.core has since 2.1.
const (
	sampleCatalog   = "senaite_catalog_sample"
	analysisCatalog = "senaite_catalog_analysis"
)

// record is what a catalog knows of an object.
type record struct {
	catalog  string
	kind     string
	resource string
	indexes  map[string][]string
	brain    map[string]any // what every search shows
	fields   map[string]any // what complete=yes adds
}

// search is senaite.jsonapi's route. What is no index of the catalog is ignored,
// and an account that may not see an object is answered as if there were none.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var found []record
	if !s.anonymous(r) {
		s.mu.Lock()
		found = s.catalog(query)
		s.mu.Unlock()
	}
	s.batch(w, r, found, yes(query.Get("complete")))
}

// object is the route of one object, by its UID alone or after its resource.
func (s *Server) object(w http.ResponseWriter, r *http.Request, resource, uid string) {
	var found []record
	if !s.anonymous(r) {
		s.mu.Lock()
		found = s.catalog(url.Values{"UID": {uid}})
		s.mu.Unlock()
	}
	switch {
	case len(found) == 0:
		fail(w, http.StatusNotFound, "No object found")
	case resource != "":
		s.batch(w, r, found, true)
	default:
		answer(w, http.StatusOK, s.item(found[0], true))
	}
}

// catalog returns the objects that a query is for. The caller holds mu.
func (s *Server) catalog(query url.Values) []record {
	if s.blind {
		return nil
	}
	return slices.DeleteFunc(s.records(), func(one record) bool {
		if catalog := query.Get("catalog"); catalog != "" && catalog != one.catalog {
			return true
		}
		if kind := query.Get("portal_type"); kind != "" && kind != one.kind {
			return true
		}
		for index, values := range one.indexes {
			wanted := query.Get(index)
			if wanted == "" {
				continue
			}
			if index != "getAncestorsUIDs" {
				if !slices.Contains(values, wanted) {
					return true
				}
			} else if !slices.ContainsFunc(strings.Split(wanted, ","), func(uid string) bool { return slices.Contains(values, uid) }) {
				return true
			}
		}
		return false
	})
}

// records shows all samples and analyses in the way of their catalogs.
func (s *Server) records() []record {
	var all []record
	for _, one := range s.samples {
		all = append(all, s.sampleRecord(one))
		for _, a := range one.analyses {
			all = append(all, s.analysisRecord(one, a))
		}
	}
	return all
}

func (s *Server) sampleRecord(one *sample) record {
	descendants, analyses := []string{}, []any{}
	for _, other := range s.samples {
		if other.parent == one {
			descendants = append(descendants, other.uid)
		}
		if slices.Contains(other.ancestors(), one.uid) {
			for _, a := range other.analyses {
				analyses = append(analyses, s.addresses("analysis", a.uid))
			}
		}
	}
	parent := any("")
	if one.parent != nil {
		parent = one.parent.uid
	}
	return record{
		catalog: sampleCatalog, kind: "AnalysisRequest", resource: "analysisrequest",
		indexes: map[string][]string{
			"id": {one.id}, "getId": {one.id}, "UID": {one.uid}, "getClientSampleID": {one.client},
			"review_state": {"sample_received"},
		},
		brain: map[string]any{
			"id": one.id, "uid": one.uid, "title": one.id, "portal_type": "AnalysisRequest",
			"parent_id": "client-1", "parent_uid": strings.Repeat("c", 32), "parent_url": s.URL + "/@@API/senaite/v1/client/" + strings.Repeat("c", 32),
			"path": "/senaite/clients/client-1/" + one.id, "review_state": "sample_received",
			"getClientSampleID": one.client, "getDescendantsUIDs": descendants, "getRawParentAnalysisRequest": parent,
		},
		fields: map[string]any{"ClientSampleID": one.client, "Analyses": analyses},
	}
}

func (s *Server) analysisRecord(one *sample, a *Analysis) record {
	shown, operand := a.Result, a.Operand
	if time.Since(a.set) < s.appear {
		shown, operand = a.before, ""
	}
	options := []any{}
	for _, value := range slices.Sorted(maps.Keys(a.Options)) {
		options = append(options, map[string]any{"ResultValue": value, "ResultText": a.Options[value]})
	}
	calculation := any(nil)
	if a.Calculated {
		calculation = s.addresses("calculation", strings.Repeat("f", 32))
	}
	id := fmt.Sprintf("%s-%d", a.Keyword, a.number)
	return record{
		catalog: analysisCatalog, kind: "Analysis", resource: "analysis",
		indexes: map[string][]string{
			"id": {id}, "getId": {id}, "UID": {a.uid}, "getKeyword": {a.Keyword}, "getRequestID": {one.id},
			"getAncestorsUIDs": one.ancestors(), "review_state": {a.State},
		},
		brain: map[string]any{
			"id": id, "uid": a.uid, "title": a.title(), "portal_type": "Analysis",
			"parent_id": one.id, "parent_uid": one.uid, "parent_url": s.URL + "/@@API/senaite/v1/analysisrequest/" + one.uid,
			"path": "/senaite/clients/client-1/" + one.id + "/" + id, "review_state": a.State,
			"getKeyword": a.Keyword, "getRequestID": one.id, "getResult": shown, "getResultOptions": options, "getRetestOfUID": a.retestOf,
		},
		fields: map[string]any{
			"Keyword": a.Keyword, "ShortTitle": orNull(a.ShortTitle), "Result": orNull(shown), "DetectionLimitOperand": orNull(operand),
			"ResultOptions": options, "InterimFields": []any{}, "Calculation": calculation, "Unit": nil, "Remarks": nil,
		},
	}
}

// orNull: a field that is empty shows as null.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (s *Server) addresses(resource, uid string) map[string]any {
	return map[string]any{"uid": uid, "url": s.URL + "/" + uid, "api_url": s.URL + "/@@API/senaite/v1/" + resource + "/" + uid}
}

func (s *Server) item(one record, complete bool) map[string]any {
	item := s.addresses(one.resource, one.indexes["UID"][0])
	for key, value := range one.brain {
		item[key] = value
	}
	if complete {
		for key, value := range one.fields {
			item[key] = value
		}
	}
	return item
}

// batch answers with one page of what was found: limit objects from b_start on.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, found []record, complete bool) {
	query := r.URL.Query()
	size, start := 25, 0
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && n > 0 {
		size = n
	}
	if n, err := strconv.Atoi(query.Get("b_start")); err == nil && n > 0 {
		start = n
	}
	s.mu.Lock()
	if s.mostOnPage > 0 {
		size = min(size, s.mostOnPage)
	}
	s.mu.Unlock()
	start = min(start, len(found))
	end := min(start+size, len(found))
	page := func(from int) any {
		query.Set("b_start", strconv.Itoa(from))
		return s.URL + strings.TrimPrefix(r.URL.Path, "/senaite") + "?" + query.Encode()
	}
	var next, previous any
	if end < len(found) {
		next = page(end)
	}
	if start > 0 {
		previous = page(max(0, start-size))
	}
	items := []any{}
	for _, one := range found[start:end] {
		items = append(items, s.item(one, complete))
	}
	answer(w, http.StatusOK, map[string]any{
		"count": len(found), "pagesize": size, "page": start/size + 1, "pages": (len(found) + size - 1) / size,
		"next": next, "previous": previous, "items": items,
	})
}

// yes is senaite.jsonapi's idea of it.
func yes(text string) bool {
	switch strings.ToLower(text) {
	case "y", "yes", "1", "true":
		return true
	}
	return false
}
