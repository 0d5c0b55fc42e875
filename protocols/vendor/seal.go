package vendor

import (
	"bytes"
	"fmt"
)

// SealEmerald appends the END line to a frame that lacks it, with its sum. A
// STARTUP has none.
func SealEmerald(frame []byte) []byte {
	var end string
	for line := range bytes.FieldsFuncSeq(frame, func(r rune) bool { return r == cr || r == lf }) {
		switch first := word(line); {
		case end != "" || !opens(first):
		case first == startUp:
			return frame
		case first == calibration:
			end = endCalibration
		default:
			end = endResult
		}
	}
	if end == "" {
		return frame
	}
	return fmt.Appendf(frame, "%s;%d\r", end, EmeraldSum(frame))
}

// Resum returns a packet or frame with a right sum in the place of the one that
// it has. What has no place for one is returned as it is.
func Resum(format Format, raw []byte) []byte {
	switch format {
	case MiniVIDAS:
		at := bytes.IndexByte(raw, gs)
		if at < 1 {
			return raw
		}
		rest := raw[at+1:]
		for range 2 {
			if len(rest) > 0 && rest[0] > ' ' && rest[0] < 0x7F {
				rest = rest[1:]
			}
		}
		return bytes.Join([][]byte{raw[:at+1], []byte(MiniVIDASSum(raw[1 : at+1])), rest}, nil)
	case Emerald:
		line := bytes.TrimRight(raw, "\r\n")
		start := bytes.LastIndexAny(line, "\r\n") + 1
		first := word(line[start:])
		if first != endResult && first != endCalibration {
			return raw
		}
		sealed := fmt.Appendf(bytes.Clone(raw[:start]), "%s;%d", first, EmeraldSum(raw[:start]))
		return append(sealed, raw[len(line):]...)
	}
	return raw
}
