package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed pages static
var files embed.FS

// parsePages panics where a page of ours does not parse: no input decides that.
func parsePages() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"clock":   clock,
		"age":     func(d time.Duration) string { return d.Round(time.Second).String() },
		"visible": visible,
	}).ParseFS(files, "pages/*.html"))
}

// page is what every template gets.
type page struct {
	Title, Box, Version string
	Token               string
	View                any
}

// render writes a page whole or not at all.
func (c *Console) render(w http.ResponseWriter, status int, name, title string, view any) {
	var body bytes.Buffer
	err := c.pages.ExecuteTemplate(&body, name, page{
		Title: title, Box: c.options.Box, Version: c.options.Version, Token: c.token, View: view,
	})
	if err != nil {
		c.options.Log.Error("console", "page", name, "error", err)
		http.Error(w, "This page cannot be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a failed write means that the reader left
}

// static serves the style sheet and the icon.
func static(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "static/"+r.PathValue("name"))
}

// visible makes raw bytes readable: control characters by their names, a line
// for each record. Bytes that are not UTF-8 are shown as Latin-1, which is what
// most instruments send.
func visible(raw []byte) string {
	var text strings.Builder
	latin := !utf8.Valid(raw)
	for len(raw) > 0 {
		r, n := rune(raw[0]), 1
		if !latin {
			r, n = utf8.DecodeRune(raw)
		}
		raw = raw[n:]
		switch {
		case r == '\n' || r == '\r':
			text.WriteString(controlName(r))
			if len(raw) == 0 || raw[0] != '\n' {
				text.WriteByte('\n')
			}
		case unicode.IsControl(r):
			text.WriteString(controlName(r))
		default:
			text.WriteRune(r)
		}
	}
	return text.String()
}

func controlName(r rune) string {
	const names = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
	if fields := strings.Fields(names); int(r) < len(fields) {
		return "<" + fields[r] + ">"
	}
	if r == 0x7F {
		return "<DEL>"
	}
	return fmt.Sprintf("<%02X>", r)
}
