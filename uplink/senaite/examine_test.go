package senaite

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

func TestExamineTellsTheStagesApart(t *testing.T) {
	refusing := func(t *testing.T, code int) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(proxy.Close)
		return proxy.URL
	}
	overTLS := func(s *Settings) { s.URL = strings.Replace(s.URL, "http:", "https:", 1) }
	for name, test := range map[string]struct {
		mode   senaitetest.Mode
		change func(*testing.T, *Settings)
		want   Stage // "" for none
	}{
		"well":                      {},
		"nobody of that name":       {change: func(_ *testing.T, s *Settings) { s.URL, s.PlainHTTP = "http://lims.invalid/senaite", true }, want: StageName},
		"no proxy of that name":     {change: func(_ *testing.T, s *Settings) { s.Proxy = "http://proxy.invalid:3128" }, want: StageName},
		"down":                      {mode: senaitetest.Down, want: StageConnection},
		"proxy wants a password":    {change: func(t *testing.T, s *Settings) { s.Proxy = refusing(t, http.StatusProxyAuthRequired); overTLS(s) }, want: StageProxy},
		"proxy lets nobody through": {change: func(t *testing.T, s *Settings) { s.Proxy = refusing(t, http.StatusForbidden); overTLS(s) }, want: StageProxy},
		"no TLS there":              {change: func(_ *testing.T, s *Settings) { overTLS(s) }, want: StageTLS},
		"closes at once":            {mode: senaitetest.Cut, want: StageAnswer},
		"another site":              {mode: senaitetest.NotJSON, want: StageAnswer},
		"unwell":                    {mode: senaitetest.Status(http.StatusServiceUnavailable), want: StageAnswer},
		"no such path":              {mode: senaitetest.Status(http.StatusNotFound), want: StageAnswer},
		"a login page":              {mode: senaitetest.Login, want: StageLogin},
		"wrong password":            {change: func(_ *testing.T, s *Settings) { s.Password = "hunter2" }, want: StageLogin},
		"no password":               {change: func(_ *testing.T, s *Settings) { s.Username, s.Password = "", "" }, want: StageLogin},
	} {
		t.Run(name, func(t *testing.T) {
			s := senaitetest.New()
			defer s.Close()
			if test.mode != "" {
				if err := s.Set(test.mode); err != nil {
					t.Fatal(err)
				}
			}
			err := client(t, s, func(settings *Settings) {
				if test.change != nil {
					test.change(t, settings)
				}
			}).Examine(t.Context())
			expectStage(t, err, test.want)
			if len(s.Pushes()) > 0 {
				t.Error("an examination has sent a message")
			}
		})
	}
}

func expectStage(t *testing.T, err error, want Stage) {
	t.Helper()
	var ended *StageError
	switch {
	case want == "" && err != nil:
		t.Errorf("%v, want none", err)
	case want == "":
	case !errors.As(err, &ended) || ended.Stage != want:
		t.Errorf("%+v, want stage %s", err, want)
	case strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), senaitetest.Password):
		t.Errorf("the error gives a password away: %v", err)
	}
}

func TestExamineJudgesCertificates(t *testing.T) {
	s := senaitetest.NewTLS()
	defer s.Close()
	expectStage(t, client(t, s).Examine(t.Context()), StageTLS)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := client(t, s, func(s *Settings) { s.CA = ca })
	expectStage(t, trusting.Examine(t.Context()), "")
	trusting.Clock = func() time.Time { return time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }
	expectStage(t, trusting.Examine(t.Context()), StageTLS)
}

func TestExamineEndsWithItsContext(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	if err := s.Set(senaitetest.Hang); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	expectStage(t, client(t, s).Examine(ctx), StageAnswer)
}
