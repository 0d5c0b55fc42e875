package console

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/device/console/picture"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// resultView is one row of the table of results.
type resultView struct {
	envelope.Result
	Number int    // from 0, among the results of the envelope
	Image  string // how the page has it: "shown", "drawn" as a plot, "download", "elsewhere" where the value names it; "" for no image
}

type plotView struct {
	Title, Text string
	SVG         template.HTML
}

// imagesShown is how many images a page has the browser load.
const imagesShown = 24

func shownResults(e envelope.Envelope) (list []resultView) {
	images := 0
	for n, r := range e.Results[:min(len(e.Results), resultsShown)] {
		view := resultView{Result: r, Number: n}
		document, embedded := picture.DocumentOf(e, n)
		switch {
		case r.Kind != envelope.KindImage:
		case embedded && images < imagesShown && shownType(document) != "":
			view.Image = "shown"
			images++
		case embedded:
			view.Image = "download"
		case strings.HasPrefix(r.MediaType, "application/x-"):
			view.Image = "drawn"
		default:
			view.Image = "elsewhere"
		}
		list = append(list, view)
	}
	return list
}

// shownType is the type of an image that browsers show: what the bytes are and not what
// the instrument calls them. "" is for all else, which is only there to download.
func shownType(document picture.Document) string {
	head, err := document.Head(512)
	if err != nil {
		return ""
	}
	switch kind := http.DetectContentType(head); kind {
	case "image/png", "image/jpeg":
		return kind
	}
	return ""
}

// image is the document that one result is. It is a stranger's: a browser may show it
// as an image or keep it as a file, and nothing else.
func (c *Console) image(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	message, err := store.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	document, is := picture.DocumentOf(message.Envelope, n)
	if err != nil || !is {
		c.fail(w, r, errNoImage)
		return
	}
	data, err := document.Bytes()
	if err != nil {
		c.fail(w, r, api.BadRequest{Err: errors.New("the image is damaged: it is not the data that it announces")})
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if kind := shownType(document); kind != "" {
		header.Set("Content-Type", kind)
	} else {
		header.Set("Content-Type", "application/octet-stream")
		header.Set("Content-Disposition", `attachment; filename="`+fileStem(message.Envelope)+"-"+strconv.Itoa(n)+extensionOf(data)+`"`)
	}
	header.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // a failed write means that the reader left
}

// errNoImage is of an image that the message has not.
var errNoImage = noImage{}

type noImage struct{}

func (noImage) Error() string { return "this message has no such image" }
func (noImage) Unwrap() error { return spool.ErrNotFound }

// extensionOf is how the name of a file ends that holds what no browser shows.
func extensionOf(data []byte) string {
	if bytes.HasPrefix(data, []byte("BM")) {
		return ".bmp"
	}
	return ".bin"
}
