package profile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// decodeStream reads a curve that an instrument packed into one field, such as
// FLOATLE-stream/deflate:base64^Y2AA... It gives nil and no error where the
// field does not announce a stream.
//
// Numbers may be FLOAT (32 bit), INT32 or INT16, with LE or BE; packing is
// deflate (RFC 1951, or with a zlib header), gzip or none; the text is base64.
func decodeStream(text string, component byte) (envelope.Floats, error) {
	encoding, data, found := strings.Cut(text, string(rune(component)))
	numbers, packing, announced := strings.Cut(encoding, "-stream")
	if !found || !announced {
		return nil, nil
	}
	packing, inBase64 := strings.CutSuffix(packing, ":base64")
	if !inBase64 {
		return nil, errors.New("it is not in base64")
	}
	packed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, errors.New("its base64 is damaged")
	}
	plain, err := unpack(strings.TrimPrefix(packing, "/"), packed)
	if err != nil {
		return nil, err
	}
	return readNumbers(numbers, plain)
}

// streamSize is the size in bytes of what a stream unpacks to; 0 where it is
// none.
func streamSize(text string, component byte) int {
	numbers, _ := decodeStream(text, component)
	kind, _, _ := strings.Cut(text, "-stream")
	if strings.HasPrefix(kind, "INT16") {
		return 2 * len(numbers)
	}
	return 4 * len(numbers)
}

// maxUnpacked bounds what a few bytes may unfold to.
func maxUnpacked(packed []byte) int64 { return 64*int64(len(packed)) + 64<<10 }

func unpack(packing string, packed []byte) ([]byte, error) {
	readers := map[string][]func(io.Reader) (io.Reader, error){
		"": {func(r io.Reader) (io.Reader, error) { return r, nil }},
		"deflate": {
			func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil },
			func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		},
		"gzip": {func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	}[packing]
	if readers == nil {
		return nil, errors.New("its packing is unknown")
	}
	for _, open := range readers {
		r, err := open(bytes.NewReader(packed))
		if err != nil {
			continue
		}
		plain, err := io.ReadAll(io.LimitReader(r, maxUnpacked(packed)+1))
		switch {
		case err != nil:
			continue
		case int64(len(plain)) > maxUnpacked(packed):
			return nil, errors.New("it unfolds to more than it may")
		}
		return plain, nil
	}
	return nil, fmt.Errorf("its %s data is damaged", packing)
}

func readNumbers(kind string, plain []byte) (envelope.Floats, error) {
	var order binary.ByteOrder = binary.LittleEndian
	base, little := strings.CutSuffix(kind, "LE")
	if !little {
		base, order = strings.TrimSuffix(kind, "BE"), binary.BigEndian
	}
	size := 4
	var read func([]byte) float64
	switch base {
	case "FLOAT":
		read = func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }
	case "INT32":
		read = func(b []byte) float64 { return float64(int32(order.Uint32(b))) }
	case "INT16":
		size, read = 2, func(b []byte) float64 { return float64(int16(order.Uint16(b))) }
	default:
		return nil, errors.New("its type of number is unknown")
	}
	if len(plain)%size != 0 {
		return nil, errors.New("it ends inside a number")
	}
	numbers := make(envelope.Floats, 0, len(plain)/size)
	for ; len(plain) > 0; plain = plain[size:] {
		numbers = append(numbers, read(plain))
	}
	return numbers, nil
}
