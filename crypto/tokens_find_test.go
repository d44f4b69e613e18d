package crypto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestATokenIsFoundByItsID(t *testing.T) {
	s, dir := tokensIn(t)
	_, anna := addToken(t, s, RoleAdmin.named("anna"))
	soon := RoleTenant.named("billing")
	soon.Expires = signTime.Add(time.Hour)
	_, billing := addToken(t, s, soon)
	other := newTokens(t, dir) // another process
	for range tokenSlots {
		s.slots <- struct{}{} // no hash can be computed, and none need be
	}
	tests := []struct {
		name string
		id   string
		at   time.Time
		want error
	}{
		{"one that is good", anna.ID, signTime, nil},
		{"one that is good for a while yet", billing.ID, soon.Expires.Add(-1), nil},
		{"one that expires this instant", billing.ID, soon.Expires, ErrTokenExpired},
		{"one that nobody made", "aaaaaaaaaa", signTime, ErrTokenUnknown},
		{"no id", "", signTime, ErrTokenUnknown},
		{"an id that is cut", anna.ID[:9], signTime, ErrTokenUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Find(tt.id, tt.at)
			if !errors.Is(err, tt.want) || (got.ID != "") == errors.Is(tt.want, ErrTokenUnknown) || got.ID != "" && got.ID != tt.id {
				t.Errorf("found %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if err := other.Revoke(anna.ID, signTime); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find(anna.ID, signTime); !errors.Is(err, ErrTokenRevoked) || got.Name != "anna" {
		t.Errorf("what another process revoked is found as %v, %v", got, err)
	}
}

func TestFindingATokenIsUsingIt(t *testing.T) {
	s, _ := tokensIn(t)
	_, anna := addToken(t, s, RoleAdmin.named("anna"))
	at := signTime.Add(26*time.Hour + 30*time.Second)
	if _, err := s.Find(anna.ID, at); err != nil {
		t.Fatal(err)
	}
	all, err := s.List()
	if err != nil || len(all) != 1 || !all[0].LastUsed.Equal(at.Truncate(time.Minute)) {
		t.Errorf("listed as %v, %v", all, err)
	}
}

func TestNothingIsFoundInAFileThatCannotBeRead(t *testing.T) {
	s, dir := tokensIn(t)
	_, anna := addToken(t, s, RoleAdmin.named("anna"))
	if err := os.WriteFile(filepath.Join(dir, tokensFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := s.Find(anna.ID, signTime)
	if err == nil || errors.Is(err, ErrTokenUnknown) || got.ID != "" {
		t.Errorf("found %v, %v", got, fmt.Sprint(err))
	}
}
