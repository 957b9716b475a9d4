package wire

import (
	"encoding/json"
	"testing"

	"belay/internal/exactjson/exactjsontest"
)

// FuzzStepKeys: no key of a step message is taken in another case, or twice.
func FuzzStepKeys(f *testing.F) {
	f.Add(EncodeStep(stepMessage))
	exactjsontest.Fuzz(f, func(body []byte) (json.RawMessage, error) {
		m, err := DecodeStep(body)
		if err != nil {
			return nil, err
		}
		return EncodeStep(m), nil
	})
}
