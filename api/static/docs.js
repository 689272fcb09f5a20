// Swagger UI with the operations of this server. No script of anybody else's is loaded.
safeDocument().then((spec) => {
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#ui",
    deepLinking: true,
    tryItOutEnabled: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
