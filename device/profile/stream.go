package profile

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
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
func decodeStream(text string, component byte, budget *budget) (envelope.Floats, error) {
	encoding, data, found := before(text, component)
	kind, packing, announced := strings.Cut(encoding, "-stream")
	if !found || !announced {
		return nil, nil
	}
	packing, inBase64 := strings.CutSuffix(packing, ":base64")
	if !inBase64 {
		return nil, errors.New("it is not in base64")
	}
	read, err := numberOf(kind)
	if err != nil {
		return nil, err
	}
	packed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, errors.New("its base64 is damaged")
	}
	numbers, err := unpack(strings.TrimPrefix(packing, "/"), packed, read, min(mostNumbers(text), budget.numbers))
	if err != nil {
		return nil, err
	}
	budget.numbers -= len(numbers)
	return numbers, nil
}

// mostNumbers bounds what a few bytes may unfold to.
func mostNumbers(text string) int { return 3*len(text) + 512 }

func unpack(packing string, packed []byte, read number, most int) (envelope.Floats, error) {
	switch packing {
	case "":
		return read.all(bytes.NewReader(packed), most, nil)
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, errors.New("its gzip data is damaged")
		}
		return read.all(r, most, nil)
	case "deflate":
		r := flate.NewReader(bytes.NewReader(packed))
		numbers, err := read.all(r, most, nil)
		if err != nil && len(packed) > 2 && packed[0]&0x0F == 8 { // it may have a zlib header
			if resetErr := r.(flate.Resetter).Reset(bytes.NewReader(packed[2:]), nil); resetErr != nil {
				return nil, resetErr
			}
			numbers, err = read.all(r, most, numbers)
		}
		return numbers, err
	}
	return nil, errors.New("its packing is unknown")
}

// number reads one number of a size.
type number struct {
	size int
	read func([]byte) float64
}

func numberOf(kind string) (number, error) {
	var order binary.ByteOrder = binary.LittleEndian
	base, little := strings.CutSuffix(kind, "LE")
	if !little {
		base, order = strings.TrimSuffix(kind, "BE"), binary.BigEndian
	}
	switch base {
	case "FLOAT":
		return number{4, func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }}, nil
	case "INT32":
		return number{4, func(b []byte) float64 { return float64(int32(order.Uint32(b))) }}, nil
	case "INT16":
		return number{2, func(b []byte) float64 { return float64(int16(order.Uint16(b))) }}, nil
	}
	return number{}, errors.New("its type of number is unknown")
}

// all reads numbers to the end, most at the most, into the memory of others that
// nobody needs, if there are any. With an error it returns what can be such.
func (n number) all(r io.Reader, most int, spent envelope.Floats) (envelope.Floats, error) {
	numbers := spent[:0]
	if cap(numbers) == 0 {
		numbers = make(envelope.Floats, 0, 64)
	}
	var one [4]byte
	in := bufio.NewReaderSize(r, 512)
	for {
		switch _, err := io.ReadFull(in, one[:n.size]); {
		case err == io.EOF:
			return numbers, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return numbers, errors.New("it ends inside a number, or its data is damaged")
		case err != nil:
			return numbers, errors.New("its data is damaged")
		}
		if len(numbers) == most {
			return numbers, errors.New("it unfolds to more than it may")
		}
		if len(numbers) == cap(numbers) {
			numbers = append(make(envelope.Floats, 0, min(4*cap(numbers), most)), numbers...)
		}
		numbers = append(numbers, n.read(one[:]))
	}
}

// numberSize is how many bytes a number of a stream has where it comes from.
func numberSize(text string) int {
	if strings.HasPrefix(text, "INT16") {
		return 2
	}
	return 4
}
