/**
 * How the URI of a database begins. The part behind `+` names a driver, as SQLAlchemy and others write it, and
 * means nothing here.
 */
export const POSTGRES_URI_START = /^postgres(?:ql)?(?:\+[\w.-]+)?:\/\//;
