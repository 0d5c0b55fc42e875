package config

import (
	"reflect"
	"strings"
)

// options are what the tags of a field say of its value.
type options struct {
	allowed  []string
	size     bool
	required bool
}

// field is one key that a struct takes.
type field struct {
	options
	key   string
	index []int
}

// fieldsOf lists the keys of a struct type, inline structs included.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := f.Type.Kind() == reflect.Struct && strings.Contains(rest, "inline")
		switch {
		case name == "-", !f.IsExported():
			continue
		case inline:
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		case name == "":
			name = strings.ToLower(f.Name)
		}
		one := field{key: name, index: []int{i}}
		if allowed := f.Tag.Get("allowed"); allowed != "" {
			one.allowed = strings.Split(allowed, ",")
		}
		one.size = f.Tag.Get("config") == "size"
		one.required = f.Tag.Get("required") == "true"
		fields = append(fields, one)
	}
	return fields
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// nearest is the key that a misspelt one was meant to be, "" if none is near.
func nearest(key string, keys []string) string {
	best, least := "", max(1, len(key)/3)+1
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "_")) }
	for _, candidate := range keys {
		if d := distance(plain(key), plain(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the letters to add, remove, change or swap with the next one
// that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
