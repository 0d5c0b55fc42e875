package board

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseData(t *testing.T) {
	d, problems := ParseData("# a board\r\n\r\nBOARD=raspberrypi4_64\r\nLED_READY=\"ACT\"\nLED_ACTIVITY='PWR'\n  LED_ACTIVITY_IDLE=on \nRESET_GPIO=gpiochip0:17\nWATCHDOG=/dev/watchdog0")
	want := Data{"raspberrypi4_64", "ACT", "PWR", true, Pin{"gpiochip0", 17}, "/dev/watchdog0"}
	if d != want || problems != nil {
		t.Errorf("%+v %v, want %+v", d, problems, want)
	}
}

// What cannot be read is left out, and all else stays.
func TestParseDataWithMistakes(t *testing.T) {
	d, problems := ParseData(`LED_READY
LED_READY="ACT
FAN=1
LED_ACTIVITY_IDLE=bright
RESET_GPIO=17
RESET_GPIO=../gpiochip0:1
RESET_GPIO=gpiochip0:-1
RESET_GPIO=gpiochip0:99999
LED_READY=
WATCHDOG="/dev/watchdog0"
`)
	want := []string{
		`line 1: "LED_READY" is not KEY=value`,
		`line 2: "LED_READY": a quote has no other end`,
		`line 3: "FAN" is not known`,
		`line 4: LED_ACTIVITY_IDLE: "bright" is not one of on, off`,
		`line 5: RESET_GPIO: "17" is not CHIP:LINE, such as gpiochip0:17`,
		`line 6: RESET_GPIO: "../gpiochip0:1" is not CHIP:LINE, such as gpiochip0:17`,
		`line 7: RESET_GPIO: "gpiochip0:-1" is not CHIP:LINE, such as gpiochip0:17`,
		`line 8: RESET_GPIO: "gpiochip0:99999" is not CHIP:LINE, such as gpiochip0:17`,
	}
	if !reflect.DeepEqual(problems, want) {
		t.Errorf("%s", strings.Join(problems, "\n"))
	}
	if d != (Data{Watchdog: "/dev/watchdog0"}) {
		t.Errorf("%+v", d)
	}
}

func TestReadData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "board")
	if _, _, err := ReadData(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	for _, text := range []string{"BOARD=x\n", strings.Repeat("#", mostData) + "\nBOARD=x\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, _, err := ReadData(path)
		if long := len(text) > mostData; (err != nil) != long || (d.Name == "x") == long {
			t.Errorf("of %d bytes: %+v, %v", len(text), d, err)
		}
	}
}

// The data of every board that is built can be read without a problem.
func TestBoards(t *testing.T) {
	files, err := filepath.Glob("../../image/boards/*/board")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		d, problems, err := ReadData(file)
		if err != nil || problems != nil {
			t.Errorf("%s: %v %v", file, problems, err)
		}
		if want := filepath.Base(filepath.Dir(file)); d.Name != want {
			t.Errorf("%s is of the board %q", file, d.Name)
		}
		if d.LEDActivity != "" && d.LEDReady == "" {
			t.Errorf("%s: LED_ACTIVITY needs LED_READY", file)
		}
	}
}

// Whatever stands in the file, reading it ends, and what it says can be written
// and read again.
func FuzzParseData(f *testing.F) {
	for _, text := range []string{"", "BOARD=x\n", "LED_READY=\"\nRESET_GPIO=a:1", "=\n'='\n#", "RESET_GPIO=gpiochip0:017\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, problems := ParseData(text)
		if lines := strings.Count(text, "\n") + 1; len(problems) > lines {
			t.Errorf("%d problems in %d lines", len(problems), lines)
		}
		if strings.Contains(d.ResetGPIO.Chip, "/") || d.ResetGPIO.Line < 0 {
			t.Errorf("the button is at %+v", d.ResetGPIO)
		}
		idle := "off"
		if d.ActivityLit {
			idle = "on"
		}
		again, problems := ParseData("BOARD='" + d.Name + "'\nLED_READY='" + d.LEDReady + "'\nLED_ACTIVITY='" + d.LEDActivity +
			"'\nLED_ACTIVITY_IDLE=" + idle + "\nRESET_GPIO=" + d.ResetGPIO.String() + "\nWATCHDOG='" + d.Watchdog + "'\n")
		if again != d || problems != nil {
			t.Errorf("%+v, and again %+v %v", d, again, problems)
		}
	})
}
