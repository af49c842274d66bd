// What openid-client makes of an answer that is not as it should be, or not as the
// TPP would like it.
import { ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client';

export function expect(ok, otherwise) {
  if (!ok) throw new Error(otherwise);
}

// refused holds that a request is refused with this error.
export async function refused(code, request) {
  const err = await request.then(() => { throw new Error('not refused'); }, (reason) => reason);
  const refusal = await refusalOf(err);
  if (!refusal) throw err;
  expect(refusal.error === code, `${told(refusal)}; want ${code}`);
  return told(refusal);
}

// refusalOf is what the bank says in an answer that openid-client makes an error
// of. Of one with a challenge openid-client tells the challenge alone, which has no
// error for a client that is not authenticated; the body has it in every case.
async function refusalOf(err) {
  if (err instanceof ResponseBodyError) return err.cause;
  if (!(err instanceof WWWAuthenticateChallengeError)) return undefined;
  const [{ parameters }] = err.cause;
  const body = await err.response.json();
  expect(!parameters.error || parameters.error === body.error, `${parameters.error} in the challenge, ${body.error} in the body`);
  return body;
}

function told(refusal) {
  return `${refusal.error}: ${refusal.error_description}`;
}

// describe says what went wrong, for people.
export async function describe(err) {
  try {
    const refusal = await refusalOf(err);
    if (refusal) return told(refusal);
  } catch (reason) {
    return `${err.message}: ${reason.message}`;
  }
  const causes = [];
  for (let each = err; each instanceof Error; each = each.cause) causes.push(each.message);
  return causes.join(': ');
}
