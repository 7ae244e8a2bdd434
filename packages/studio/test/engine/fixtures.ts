// What the server of the fixtures and the tests in the browser have in common.

/** Where the fixtures are, on the page's origin. */
export const FIXTURES = '/fixtures/';
