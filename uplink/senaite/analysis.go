package senaite

import (
	"encoding/json"
	"html"
	"strings"
)

// item is one object of an answer: a sample or an analysis.
type item map[string]any

// lookup returns what the first key holds that is there. Fields of objects,
// columns of catalogs and add-ons spell the same thing differently.
func (i item) lookup(keys ...string) (value any, found bool) {
	for _, key := range keys {
		if value, found = i[key]; found {
			return value, true
		}
	}
	return nil, false
}

// text returns the first text that is not empty under one of the keys.
func (i item) text(keys ...string) string {
	for _, key := range keys {
		if text := scalar(i[key]); text != "" {
			return text
		}
	}
	return ""
}

// items returns the objects of a list.
func items(value any) []item {
	list, _ := value.([]any)
	var found []item
	for _, one := range list {
		if object, ok := one.(map[string]any); ok && len(object) > 0 {
			found = append(found, object)
		}
	}
	return found
}

func scalar(value any) string {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value)
	case json.Number:
		return value.String()
	}
	return ""
}

// analysis is what is known of an analysis, or of an interim field of one.
type analysis struct {
	names      []string // keyword, title and short title, folded
	texts      []string // every form of its result; empty where it has none
	hidden     bool     // the account is not shown whether it has a result
	calculated bool     // SENAITE makes the result, not an instrument
}

// holds reports whether the analysis has the value of an instrument.
func (a analysis) holds(value string) bool {
	for _, one := range alternatives(value) {
		for _, text := range a.texts {
			if sameValue(text, one) {
				return true
			}
		}
	}
	return false
}

var resultKeys = []string{"Result", "getResult", "result"}

// counts reports whether an item is an analysis of a sample whose result is
// valid. A retest is an analysis of its own, and the one before it is retracted.
func (i item) counts() bool {
	switch strings.ToLower(i.text("review_state", "getReviewState", "reviewState")) {
	case "retracted", "rejected", "cancelled", "invalid":
		return false
	}
	kind := i.text("portal_type")
	return kind == "" || strings.EqualFold(kind, "Analysis")
}

// analysis reads an item.
func (i item) analysis() analysis {
	a := analysis{}
	for _, key := range []string{"Keyword", "getKeyword", "keyword", "title", "Title", "ShortTitle", "getShortTitle", "short_title"} {
		if name := fold(i.text(key)); name != "" {
			a.names = append(a.names, name)
		}
	}
	result, shown := i.lookup(resultKeys...)
	a.hidden = !shown
	formula, _ := i.lookup("Calculation", "getCalculation", "calculation")
	a.calculated = truthy(formula)
	a.texts = i.resultTexts(result)
	if len(a.texts) == 0 {
		return a // without a result, what is formatted is a placeholder
	}
	formatted := i.text("FormattedResult", "getFormattedResult", "formatted_result")
	for _, line := range strings.Split(formatted, "<br/>") {
		if line = strings.TrimSpace(html.UnescapeString(line)); line != "" {
			a.texts = append(a.texts, line)
		}
	}
	return a
}

// resultTexts returns the result in the forms that its fields give it. A result
// with a detection limit's operand is never one without.
func (i item) resultTexts(result any) []string {
	var values []string
	switch result := result.(type) {
	case []any:
		values = scalars(result)
	default:
		text := scalar(result)
		if list := parseList(text); list != nil {
			values = scalars(list) // several choices, or several values
		} else if text != "" {
			values = []string{text}
		}
	}
	if operand := i.text("DetectionLimitOperand", "getDetectionLimitOperand", "detection_limit_operand"); operand == "<" || operand == ">" {
		for n, value := range values {
			if !strings.HasPrefix(value, operand) {
				values[n] = operand + value
			}
		}
	}
	options, _ := i.lookup("ResultOptions", "getResultOptions", "result_options")
	chosen := values
	for _, option := range items(options) {
		for _, value := range chosen {
			if value == option.text("ResultValue", "value") {
				if text := option.text("ResultText", "text"); text != "" {
					values = append(values, text)
				}
			}
		}
	}
	return values
}

// parseList reads the JSON list as which SENAITE stores several values; nil
// where the text is none.
func parseList(text string) []any {
	if !strings.HasPrefix(text, "[") {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	list := []any{}
	if decoder.Decode(&list) != nil || decoder.More() {
		return nil
	}
	return list
}

func scalars(list []any) []string {
	var texts []string
	for _, value := range list {
		if text := scalar(value); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// interims returns the interim fields of an item: an importer may put a result
// there.
func (i item) interims() []analysis {
	fields, _ := i.lookup("InterimFields", "getInterimFields")
	var list []analysis
	for _, field := range items(fields) {
		if value := field.text("value"); value != "" {
			list = append(list, analysis{texts: []string{value}})
		}
	}
	return list
}

// fold makes names equal that are the same to people.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
