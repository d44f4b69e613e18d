package bucket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// The questions that callers ask of an error.
var (
	// ErrNotExist: there is no such object, or no such bucket.
	ErrNotExist = errors.New("does not exist")
	// ErrExist: the name is taken. The object there may be our own, see [Bucket.Create].
	ErrExist = errors.New("exists already")
	// ErrChanged: the object is no longer the one that the ETag names.
	ErrChanged = errors.New("has changed since it was listed")
	// ErrCorrupt: what arrived is not what the store says it holds.
	ErrCorrupt = errors.New("is damaged: it does not match the store's checksum")
	// ErrTooLarge: the object is larger than was asked for, or than can be stored.
	ErrTooLarge = errors.New("is too large")
	// ErrDenied: the store knows us and refuses, or does not know us.
	ErrDenied = errors.New("access denied")
	// ErrPolicy: the store does not take a policy; it may name somebody who does not exist there.
	ErrPolicy = errors.New("the store does not take this policy")
	// ErrKey: the store does not know the key, or it is another's. It is an ErrDenied, too.
	ErrKey = fmt.Errorf("%w: the store does not accept this key", ErrDenied)
)

// wrap names what was being done to what, and turns the answers that somebody
// asks for into sentinels.
func (s *Store) wrap(op, what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, what, s.explain(err))
}

func (s *Store) explain(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return explainAnswer(answer)
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s; is the daemon running? (%w)", s.cfg.Endpoint, err)
	case errors.As(err, &dns):
		return fmt.Errorf("the host of %s is not known; check object_store.endpoint (%w)", s.cfg.Endpoint, err)
	}
	return err
}

func explainAnswer(answer minio.ErrorResponse) error {
	switch answer.Code {
	case minio.NoSuchKey, "NotFound":
		return ErrNotExist
	case minio.NoSuchBucket:
		return fmt.Errorf("the bucket %w", ErrNotExist)
	case minio.PreconditionFailed:
		return ErrChanged
	case "SignatureDoesNotMatch", "InvalidAccessKeyId":
		return fmt.Errorf("%w (%s); check object_store.access_key and secret_key", ErrKey, answer.Code)
	case minio.AccessDenied:
		return ErrDenied
	case "MalformedPolicy":
		return fmt.Errorf("%w: %s", ErrPolicy, answer.Message)
	case "RequestTimeTooSkewed":
		return fmt.Errorf("%w: the clocks of this machine and of the store differ too much", ErrDenied)
	case "EntityTooLarge":
		return fmt.Errorf("%w: %s", ErrTooLarge, answer.Message)
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return ErrNotExist
	case http.StatusPreconditionFailed:
		return ErrChanged
	case http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrDenied, answer.Message)
	}
	if answer.Code != "" {
		return fmt.Errorf("%s: %w", answer.Code, answer)
	}
	return answer
}
