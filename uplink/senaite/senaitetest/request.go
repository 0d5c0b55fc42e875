package senaitetest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
)

// parse reads the one record of a request in either encoding.
func parse(r *http.Request, body []byte) (record map[string]any, code int, problem string) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		return parseForm(string(body))
	}
	var data any
	if json.Unmarshal(body, &data) != nil {
		return nil, http.StatusBadRequest, "Request Data is not JSON deserializable – Check JSON Syntax!"
	}
	if list, ok := data.([]any); ok {
		switch len(list) {
		case 0:
			return nil, http.StatusInternalServerError, "No data sent"
		case 1:
			data = list[0]
		default:
			return nil, http.StatusInternalServerError, "Push with multiple entries is not supported"
		}
	}
	record, ok := data.(map[string]any)
	if !ok {
		return nil, http.StatusInternalServerError, fmt.Sprintf("'%T' object has no attribute 'update'", data)
	}
	return record, 0, ""
}

// messages returns what the consumer is given: one text or a list of them.
func messages(value any) []any {
	switch value := value.(type) {
	case []any:
		return value
	case string:
		if value == "" {
			return nil
		}
	case nil:
		return nil
	}
	return []any{value}
}

// encode shows what is not a text.
func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// parseForm reads a form. A field that comes several times is a list, as Zope
// has it.
func parseForm(body string) (record map[string]any, code int, problem string) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, http.StatusBadRequest, "the form cannot be read"
	}
	record = make(map[string]any)
	for key, list := range values {
		all := make([]any, len(list))
		for i, v := range list {
			all[i] = v
		}
		record[key] = all
		if len(all) == 1 {
			record[key] = all[0]
		}
	}
	return record, 0, ""
}
