package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Pictures of the console, for the manual. What differs from run to run is made
// alike before one is taken, so that a new one differs where the page does.

// largestPicture is the most bytes that one may have: all of them are cloned
// with the project.
const largestPicture = 100 << 10

// tallest is the most of a page that a picture shows, in pixels.
const tallest = 1100

// constant puts fixed texts in place of those that differ each time. Its
// argument is a list of pairs, of a regular expression and its replacement.
const constant = `(pairs => {
	for (let id = 0; id < 1000; id++) clearInterval(id); // a page that is renewed would say the old texts again
	const patterns = pairs.map(([from, to]) => [new RegExp(from, 'g'), to]);
	const fixed = text => patterns.reduce((all, [from, to]) => all.replace(from, to), text);
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; (node = walker.nextNode());) {
		const text = fixed(node.data);
		if (text !== node.data) node.data = text;
	}
	document.querySelectorAll('input:not([type=hidden]), textarea').forEach(e => {
		const text = fixed(e.value);
		if (text !== e.value) e.value = text;
	});
	document.activeElement?.blur();
	return true;
})`

// fixed are the pairs that hold for every page. What a test knows of its own
// gateway comes before them.
func fixed() [][2]string {
	return [][2]string{
		{`/tmp/[^\s"'<]*?/(spool|captures)`, "/var/lib/assaygate/$1"},
		{`/tmp/[^\s"'<]*?/(password|assaygate\.yaml)`, "/etc/assaygate/$1"},
		{`^\d+\.\d+\.\d+\.\d+/\d+.*MAC .*`, "192.0.2.10/24, MAC 02:00:5e:10:00:01"},
		{`^[0-9a-f]{12}$`, "02005e100001"}, // the serial number of a computer without one is its MAC
		{`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)? ?[A-Z]{0,4}`, "2026-11-27 09:30:00 UTC"},
		{`(?<![:\w])\d\d:\d\d:\d\d\.\d+\b`, "09:30:00.000"},
		{`(?<![:\w])\d\d:\d\d:\d\d\b`, "09:30:00"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`, "019ac4b0-7c1e-7a52-9f3d-5b8e1c2d4f60"},
		{`\b127\.0\.0\.1:(3[3-9]|[4-6]\d)\d{3}\b`, "192.0.2.20:49152"}, // of an analyser: who connects gets such a port
		{`\b\d+(\.\d+)? (GB|GiB|MB|MiB)\b`, "24 $2"},
		{`^(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)$`, "3h12m5s"}, // how long something has been going on; others are settings
		{`\bfor \d+s\b`, "for 2s"},
		{`\bdevelopment\b`, "v1.0.0"},
		{`\b(go1\.\d+)(\.\d+)?\b`, "$1"},
		{`/dev/pts/\d+`, "/dev/ttyUSB0"},
		{`([0-9A-F]{2}:){31}[0-9A-F]{2}`, "4E:17:0B:0E:5C:72:A9:D4:31:8F:66:20:BD:93:E8:05:4E:17:0B:0E:5C:72:A9:D4:31:8F:66:20:BD:93:E8:05"},
	}
}

// picture takes one of the page that is open, at the top, as wide as the window
// is, in light colours. It goes to the folder that ASSAYGATE_SCREENSHOTS names;
// without one it is only seen that it can be taken.
func (b *tab) picture(name string, width int64) {
	b.t.Helper()
	b.pictureTo(name, width, "")
}

// pictureTo is picture that ends above the first element of a selector.
func (b *tab) pictureTo(name string, width int64, below string) {
	b.t.Helper()
	b.window(width)
	b.colours("light")
	if b.mute {
		b.t.Fatal("pictures are of a browser that runs scripts")
	}
	pairs, err := json.Marshal(append(slices.Clone(b.alike), fixed()...))
	if err != nil {
		b.t.Fatal(err)
	}
	evaluate[bool](b, fmt.Sprintf("%s(%s)", constant, pairs))
	ctx, stop := context.WithTimeout(b.ctx, browserPatience)
	defer stop()
	end := "document.documentElement.getBoundingClientRect().height"
	if below != "" {
		end = fmt.Sprintf("document.querySelector(%s).getBoundingClientRect().top", script(below))
	}
	high := min(evaluate[float64](b, end), tallest)
	taken, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) ([]byte, error) {
		if _, err := cdp.Call(ctx, target, emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true}); err != nil {
			return nil, err
		}
		beyond := true
		shot, err := cdp.Call(ctx, target, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Clip: &page.Viewport{Width: float64(width), Height: high, Scale: 1}, CaptureBeyondViewport: &beyond,
		})
		return shot.Data, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	folder := os.Getenv("ASSAYGATE_SCREENSHOTS")
	if folder == "" {
		return
	}
	small, err := fewerColours(taken)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(small) > largestPicture {
		b.t.Errorf("the picture %s has %d bytes, more than %d", name, len(small), largestPicture)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), small, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fewerColours makes a PNG one of at most 256 colours: those that it has most of.
// A page has few, and many shades at the edges of letters.
func fewerColours(data []byte) ([]byte, error) {
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := decoded.Bounds()
	from := image.NewRGBA(bounds)
	draw.Draw(from, bounds, decoded, bounds.Min, draw.Src)
	pixels := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			pixels[from.RGBAAt(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(pixels), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(pixels[b], pixels[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range most[:min(len(most), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	for c := range pixels {
		nearest[c] = uint8(palette.Index(c))
	}
	to := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			to.SetColorIndex(x, y, nearest[from.RGBAAt(x, y)])
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}

func TestFewerColours(t *testing.T) {
	from := image.NewRGBA(image.Rect(0, 0, 300, 10))
	for x := range 300 {
		for y := range 10 {
			from.Set(x, y, color.RGBA{uint8(x), uint8(x / 2), uint8(y), 255})
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, from); err != nil {
		t.Fatal(err)
	}
	small, err := fewerColours(encoded.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	to, err := png.Decode(bytes.NewReader(small))
	if err != nil || to.Bounds() != from.Bounds() {
		t.Fatalf("%v, %v", to.Bounds(), err)
	}
	if _, is := to.(*image.Paletted); !is {
		t.Errorf("a picture of %T", to)
	}
}
